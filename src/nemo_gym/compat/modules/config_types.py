"""`nemo_gym.config_types` is `nemo_gym.compat.config_types`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
