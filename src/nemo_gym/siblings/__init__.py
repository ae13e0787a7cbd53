"""The other members of the NeMo family: what they give, as tasks and models, and what they take."""
