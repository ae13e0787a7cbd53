"""Sandboxes on this machine that need only its kernel: no daemon, no image, nothing to install."""

from nemo_gym.sandbox.providers.local.provider import Isolation as Isolation
from nemo_gym.sandbox.providers.local.provider import LocalProvider as LocalProvider
from nemo_gym.sandbox.providers.local.settings import LocalCreateConfig as LocalCreateConfig
from nemo_gym.sandbox.providers.local.settings import LocalExecConfig as LocalExecConfig
from nemo_gym.sandbox.providers.local.settings import LocalLimitsConfig as LocalLimitsConfig
