"""`nemo_gym.skills` is `nemo_gym.compat.skills`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
