"""`nemo_gym.package_info` is `nemo_gym.compat.package_info`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
