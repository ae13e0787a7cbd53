"""`nemo_gym.rollout_collection` is `nemo_gym.compat.rollout_collection`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
