"""`nemo_gym.sandbox.api` is `nemo_gym.sandbox`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
