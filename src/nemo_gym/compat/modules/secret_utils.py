"""`nemo_gym.secret_utils` is `nemo_gym.compat.secret_utils`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
