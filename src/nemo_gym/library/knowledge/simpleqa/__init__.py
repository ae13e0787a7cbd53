"""Short questions about facts, graded by a judge."""
