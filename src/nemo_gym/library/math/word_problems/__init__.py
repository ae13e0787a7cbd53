"""Generated word problems of several steps."""
