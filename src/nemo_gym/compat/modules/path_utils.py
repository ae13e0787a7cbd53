"""`nemo_gym.path_utils` is `nemo_gym.compat.path_utils`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
