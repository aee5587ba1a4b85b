"""Health of venues: error decisions, scores, maintenance, draining, detectors, reactions."""
