"""Tasks in a sandboxed shell, verified by the files that are there at the end."""
