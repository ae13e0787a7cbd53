"""Figures about rewards: pass@k, means with intervals, the range of a reward. Pure."""
