"""Helpers for every room: child processes, modules loaded by path, and file operations."""
