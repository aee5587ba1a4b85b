"""The outside world behind one door: venues, accounts, keys, adapters."""
