"""Adapters: how each exchange is reached; nothing outside this package knows ccxt."""
