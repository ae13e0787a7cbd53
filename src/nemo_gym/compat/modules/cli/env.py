"""`nemo_gym.cli.env` is `nemo_gym.compat.run_helper`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
