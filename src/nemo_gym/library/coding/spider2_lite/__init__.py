"""Questions about given databases, with the comparison of Spider 2."""
