"""Short free-text answers."""
