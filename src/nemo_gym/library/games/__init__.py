"""Games that are played turn by turn."""
