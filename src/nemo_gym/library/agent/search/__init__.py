"""Multi-hop questions over a searchable library of a fictional world, with citations."""
