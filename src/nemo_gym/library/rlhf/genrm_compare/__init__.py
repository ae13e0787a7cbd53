"""Answers that a judge compares with one another."""
