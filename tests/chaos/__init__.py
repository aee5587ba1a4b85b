"""Process chaos: the whole product as processes, killed and stopped on purpose, judged against the venues' journals."""
