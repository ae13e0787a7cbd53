"""`nemo_gym.profiling` is `nemo_gym.compat.profiling`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
