"""Data sets: check, count, collate and render the declared ones, and exchange them with a hub."""
