"""Model calls as they are seen and kept, and what a rollout's row tells about them (CONTRACT 5.8, 5.10)."""
