"""`make stress VENUES=50`: one executor over fifty venues, a rate, a storm of faults, and the venues' own word on all of it."""
