"""One module for each kind of repository: its bugs and its tests."""
