"""Tetris on a small board."""
