"""Texts with a demanded layout."""
