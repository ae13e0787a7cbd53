"""`nemo_gym.openai_utils` is `nemo_gym.compat.openai_utils`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
