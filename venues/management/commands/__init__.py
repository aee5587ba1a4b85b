"""One command for each role that venues owns."""
