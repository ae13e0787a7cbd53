"""Curated environments, one in each folder `library/<domain>/<name>/`."""
