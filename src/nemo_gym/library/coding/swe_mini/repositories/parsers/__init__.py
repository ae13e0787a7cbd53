"""Parsers of expressions, settings, lines of a table and queries."""
