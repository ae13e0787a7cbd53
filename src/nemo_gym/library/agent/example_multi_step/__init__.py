"""Tutorial: several tool calls, the last of which needs the results of the others."""
