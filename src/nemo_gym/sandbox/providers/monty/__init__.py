"""One-shot programs in Monty, an interpreter of a subset of Python: `pip install 'nemo-gym[monty]'`."""

from nemo_gym.sandbox.providers.monty.provider import MontyProvider as MontyProvider
