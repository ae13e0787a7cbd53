"""`nemo_gym.base_responses_api_model` is `nemo_gym.compat.base_responses_api_model`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
