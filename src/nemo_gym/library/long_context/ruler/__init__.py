"""Needles, chains, word counts and facts in long texts."""
