"""Answers that cite numbered documents."""
