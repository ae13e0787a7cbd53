"""What `gym env init` writes: servers and workloads that run at once, to be changed into one's own."""
