"""Templates of `gym env init`: servers and workloads that run at once and that an author then changes."""
