"""`nemo_gym.base_responses_api_agent` is `nemo_gym.compat.base_responses_api_agent`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
