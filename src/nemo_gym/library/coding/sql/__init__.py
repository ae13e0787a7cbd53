"""Questions about generated databases, answered with SQL."""
