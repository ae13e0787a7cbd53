"""Model calls as they are seen and kept, and what a rollout's row tells about them."""
