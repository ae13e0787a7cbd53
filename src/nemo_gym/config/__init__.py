"""Configuration: YAML files, selectors and overrides become named instances of components."""
