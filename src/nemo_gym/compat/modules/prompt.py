"""`nemo_gym.prompt` is `nemo_gym.compat.prompt`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
