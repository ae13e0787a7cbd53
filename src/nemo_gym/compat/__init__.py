"""The import names of existing NeMo Gym code, mapped onto this package. Loaded only when imported."""
