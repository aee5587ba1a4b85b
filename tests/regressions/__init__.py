"""What hurt the users of other systems, done again to this one; each test is named after the thread where it was told."""
