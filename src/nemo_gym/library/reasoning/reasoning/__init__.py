"""Seeded reasoning problems in many families, each with levels 0 to 4 and its own checker."""
