"""Use-cases, end to end: real roles as processes, a real database, a real paper venue, through the API alone."""
