"""Tests of project.lib."""
