"""Requests that rails must block, and requests that only look like them."""
