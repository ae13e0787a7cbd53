"""`nemo_gym.rollout_observability` is `nemo_gym.compat.rollout_observability`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
