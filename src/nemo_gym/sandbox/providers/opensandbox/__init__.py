"""Sandboxes of an OpenSandbox server, by its Python SDK: `pip install opensandbox`."""

from nemo_gym.sandbox.providers.opensandbox.provider import OpenSandboxProvider as OpenSandboxProvider
