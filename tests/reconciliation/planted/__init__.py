"""Twelve kinds of differences, planted in the paper venue and found by the real owner and the real comparison."""
