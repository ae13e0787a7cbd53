"""Mathematics with a Python interpreter that keeps its variables."""
