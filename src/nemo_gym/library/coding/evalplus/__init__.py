"""Complete a Python function that passes base and further tests."""
