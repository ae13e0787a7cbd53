"""`nemo_gym.base_resources_server` is `nemo_gym.compat.base_resources_server`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
