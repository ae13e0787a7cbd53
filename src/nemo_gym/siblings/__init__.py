"""The other members of the NeMo family: what they give, as tasks and models here, and what they take from here."""
