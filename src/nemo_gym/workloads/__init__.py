"""Environments and benchmarks as packages: templates, checks, publication."""
