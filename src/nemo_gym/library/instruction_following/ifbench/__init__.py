"""Harder writing instructions, with a strict and a loose verdict."""
