"""Environments and benchmarks as packages: templates to start from, checks, publication."""
