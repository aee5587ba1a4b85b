"""Measurements of the product beside its peers, in one run on one machine: only their ratios mean anything elsewhere."""
