"""Games of two sides: a price negotiation, a split of goods, and a repeated matrix game."""
