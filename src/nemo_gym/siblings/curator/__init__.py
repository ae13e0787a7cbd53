"""NeMo Curator filters a file of tasks, in an environment of its own."""
