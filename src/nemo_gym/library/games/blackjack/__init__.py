"""Blackjack against a dealer, from an endless deck."""
