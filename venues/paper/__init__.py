"""Simulated exchanges: a matching engine with a journal behind real exchanges' protocols, and faults on demand."""
