"""Questions over CSV files, answered with a Python interpreter in a sandbox."""
