"""YAML and flags become named components."""
