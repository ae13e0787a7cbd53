"""`nemo_gym.rollout_correlation` is `nemo_gym.compat.rollout_correlation`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
