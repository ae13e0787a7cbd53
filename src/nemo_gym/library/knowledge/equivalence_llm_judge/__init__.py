"""Answers that a judge compares with the right one."""
