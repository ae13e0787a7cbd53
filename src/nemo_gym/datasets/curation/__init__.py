"""Curates a file of tasks: no duplicates, no junk, and no task of a benchmark."""
