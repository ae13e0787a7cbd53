"""A small text adventure: rooms, keys, chests and a treasure."""
