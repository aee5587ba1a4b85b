"""The protocols of real exchanges over the one engine."""
