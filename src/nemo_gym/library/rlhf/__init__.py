"""Curated environments about preferences of people."""
