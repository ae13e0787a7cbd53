"""Documents that conform to a JSON Schema."""
