"""Texts that must be written again, compared by a rule."""
