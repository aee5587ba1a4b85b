"""Small tools of the trade; imports no app."""
