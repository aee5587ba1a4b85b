"""Wiring: settings, servers, the supervisor and the embedded database; the only package that may import every other."""
