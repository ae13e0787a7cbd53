"""The hooks of trainers, one module each."""
