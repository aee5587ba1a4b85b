"""Tests on market data recorded at real venues; the data are not part of the product."""
