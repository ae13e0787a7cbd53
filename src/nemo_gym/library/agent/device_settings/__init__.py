"""A phone whose settings depend on each other."""
