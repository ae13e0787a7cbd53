"""`nemo_gym.benchmarks` is `nemo_gym.compat.benchmarks`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
