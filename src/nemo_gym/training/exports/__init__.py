"""Runs as files for supervised and preference training: selection, formats, and a card with counts."""
