"""Walks through graphs that are long lists of edges."""
