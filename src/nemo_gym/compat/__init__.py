"""The import names of existing NeMo Gym code, mapped onto the rooms of this package."""
