"""Questions about given databases, with the comparison of BIRD."""
