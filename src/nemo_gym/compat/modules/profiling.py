"""`nemo_gym.profiling` is `nemo_gym.compat.cpu_profile`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
