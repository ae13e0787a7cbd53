"""`nemo_gym.reward_profile` is `nemo_gym.compat.reward_profile`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
