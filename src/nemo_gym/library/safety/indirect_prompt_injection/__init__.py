"""Office work with tools whose results try to give orders."""
