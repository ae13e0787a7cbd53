"""Sandboxes of other machines, each of which runs `gym sandbox serve`."""

from nemo_gym.sandbox.providers.remote.provider import RemoteProvider as RemoteProvider
