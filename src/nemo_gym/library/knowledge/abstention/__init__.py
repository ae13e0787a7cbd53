"""Short questions in which an honest "I do not know" is worth something."""
