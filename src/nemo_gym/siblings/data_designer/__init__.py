"""NeMo Data Designer: its data sets as tasks, and verdicts and rollouts of environments as its columns."""
