"""Requests that only look unsafe, and requests that are."""
