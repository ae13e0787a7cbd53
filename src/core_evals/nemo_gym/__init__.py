"""NeMo Gym as a harness of NeMo Evaluator 0.2."""
