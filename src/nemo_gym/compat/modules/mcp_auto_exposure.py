"""`nemo_gym.mcp_auto_exposure` is `nemo_gym.compat.mcp_auto_exposure`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
