"""Tutorial: a reward made of named components."""
