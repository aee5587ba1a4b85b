"""Properties: what must hold for every input and every order of events."""
