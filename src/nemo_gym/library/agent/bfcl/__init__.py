"""Function calls with several possible argument values, as in BFCL."""
