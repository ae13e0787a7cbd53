"""Sokoban: push boxes onto targets in a walled room."""
