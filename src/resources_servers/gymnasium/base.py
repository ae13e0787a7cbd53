"""The reset/step form under its original name. Its code is in `nemo_gym.compat.gymnasium`."""

from nemo_gym.compat.gymnasium import *  # noqa: F403 - existing code imports these names from here
