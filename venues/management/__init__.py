"""Management commands of the venues application."""
