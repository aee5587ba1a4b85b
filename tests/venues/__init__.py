"""Tests of the venues application."""
