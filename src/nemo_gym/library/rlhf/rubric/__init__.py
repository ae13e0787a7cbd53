"""Answers that a judge checks against the items of a rubric."""
