"""A week of office work over several days, each with its own requests."""
