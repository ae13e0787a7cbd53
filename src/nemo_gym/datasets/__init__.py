"""Data sets: what a configuration declares becomes checked task files; fetched from and sent to a hub."""
