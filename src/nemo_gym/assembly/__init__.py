"""Makes flags, configuration or Python arguments into components and a `Job`: the one way to build a run."""
