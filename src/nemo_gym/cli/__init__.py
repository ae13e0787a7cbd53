"""The `gym` command: flags in, components run, text out. No logic of its own."""
