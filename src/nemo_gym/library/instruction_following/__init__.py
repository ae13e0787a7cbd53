"""Environments about following instructions."""
