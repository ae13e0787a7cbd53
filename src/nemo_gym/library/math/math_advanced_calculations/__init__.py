"""Calculations with tools that calculate otherwise than usual."""
