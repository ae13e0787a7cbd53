"""NeMo Evaluator: our environments as its benchmarks, and its results as our runs."""
