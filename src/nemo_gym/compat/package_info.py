"""The version under its original name."""

from nemo_gym import __version__ as __version__
