"""`nemo_gym.token_id_capture` is `nemo_gym.compat.token_id_capture`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
