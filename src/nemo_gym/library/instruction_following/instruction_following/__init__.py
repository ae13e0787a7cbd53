"""Writing under instructions that a program can verify."""
