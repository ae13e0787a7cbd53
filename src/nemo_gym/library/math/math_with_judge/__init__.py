"""Mathematics with a final answer, compared symbolically."""
