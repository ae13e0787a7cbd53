"""`nemo_gym.decorators` is `nemo_gym.compat.decorators`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
