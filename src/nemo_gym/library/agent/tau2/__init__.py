"""Customer service of tau2-bench: airline and retail."""
