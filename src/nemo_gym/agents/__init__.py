"""The loops that let a model act in an environment."""
