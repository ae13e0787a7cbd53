"""Countdown: make a number from other numbers."""
