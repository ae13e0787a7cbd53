"""Schedules under changing rules."""
