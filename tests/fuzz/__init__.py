"""Whatever a venue may send: examples of each dialect, ways to break them, and what must hold for the answer."""
