"""`nemo_gym.anthropic_converter` is not kept."""

from nemo_gym.compat.table import not_kept

not_kept(__name__)
