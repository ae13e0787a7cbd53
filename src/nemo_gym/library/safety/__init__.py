"""Curated environments about safe behaviour."""
