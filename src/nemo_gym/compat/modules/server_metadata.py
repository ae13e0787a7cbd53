"""`nemo_gym.server_metadata` is `nemo_gym.compat.server_metadata`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
