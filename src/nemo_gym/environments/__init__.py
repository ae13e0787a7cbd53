"""Environments: tasks, tools, per-rollout state and a verifier."""
