"""May this order go? Limits, halts and the pre-trade check."""
