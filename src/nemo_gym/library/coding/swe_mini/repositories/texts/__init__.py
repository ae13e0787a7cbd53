"""Tools for plain text."""
