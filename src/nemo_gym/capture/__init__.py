"""Captured model calls, their tokens, and the columns about them in a rollout's row."""
