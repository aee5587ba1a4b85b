"""Tests of the paper venue, driven by unmodified ccxt classes over real sockets."""
