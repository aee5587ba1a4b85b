"""Tests of the wiring: embedded database, supervisor, containers."""
