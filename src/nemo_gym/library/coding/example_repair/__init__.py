"""Mend a small repository until its tests pass."""
