"""Environments with long inputs."""
