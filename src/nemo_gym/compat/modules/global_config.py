"""`nemo_gym.global_config` is `nemo_gym.compat.global_config`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
