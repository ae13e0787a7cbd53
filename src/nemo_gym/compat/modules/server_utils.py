"""`nemo_gym.server_utils` is `nemo_gym.compat.server_utils`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
