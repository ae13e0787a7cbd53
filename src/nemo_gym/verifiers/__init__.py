"""Pure scoring functions, which compare a model's answer with the expected one."""
