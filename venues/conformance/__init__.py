"""The conformance kit: one contract that any venue, test server or adapter is held against."""
