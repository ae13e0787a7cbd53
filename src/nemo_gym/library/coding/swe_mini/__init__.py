"""Repair a small Python repository from a description of the symptom."""
