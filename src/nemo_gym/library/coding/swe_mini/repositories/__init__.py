"""Repositories without a bug. Tasks copy their text, and compute expected results with them."""
