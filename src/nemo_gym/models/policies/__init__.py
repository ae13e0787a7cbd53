"""Policies, models that take and give token ids, and how agents ask them in items."""

from nemo_gym.models.policies.base import Policy, Sampled, Sampling, Tokenizer

__all__ = ["Policy", "Sampled", "Sampling", "Tokenizer"]
