"""Tutorial: state that belongs to one rollout."""
