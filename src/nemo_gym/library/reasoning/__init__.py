"""Puzzles that are made by a generator."""
