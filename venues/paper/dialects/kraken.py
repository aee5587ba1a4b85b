"""Kraken spot: one door for its REST requests."""
