"""Is what we believe what the venue says? Runs, breaks, coverage, resolutions."""
