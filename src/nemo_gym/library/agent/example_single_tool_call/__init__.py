"""Tutorial: one tool, one call, one answer."""
