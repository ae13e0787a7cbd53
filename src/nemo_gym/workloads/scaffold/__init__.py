"""Templates of `gym env init`: servers and workloads that run as they are, for an author to change."""
