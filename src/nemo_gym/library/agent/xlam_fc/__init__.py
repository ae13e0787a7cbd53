"""Function calling: a request, tools, and the calls that it needs."""
