"""`nemo_gym.responses_converter` is `nemo_gym.compat.responses_converter`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
