"""The errors of sandboxes. A command that takes too long raises the built-in TimeoutError."""

from __future__ import annotations

from nemo_gym.wire.errors import GymError, ServerUnreachable, UsageError


class InvalidSandbox(UsageError, ValueError):
    """Wrong specification: an unknown provider, setting or resource, or a value out of range."""


class SandboxCreateError(GymError, RuntimeError):
    """The sandbox could not be created. Nothing of it is left."""


class NotIsolated(SandboxCreateError):
    """Sandboxes can't be isolated on this machine, and weaker ones are not allowed.

    Args:
        why: the reason, such as what this machine does not permit.
    """

    def __init__(self, why: str) -> None:
        super().__init__(
            f"sandboxes can't be isolated here: {why}. Use docker or apptainer. To let code reach this "
            "machine's network and files instead, say so with `allow_unsafe` of nemo_gym.sandbox, or write "
            "`create: {isolation: auto}` in the settings of the local provider"
        )
        self.settings = ("allow_unsafe",)
        self.why = why


class SandboxCreateVerificationError(SandboxCreateError):
    """The sandbox was created but did not pass its probe."""


class SandboxNotStarted(GymError, RuntimeError):
    """The sandbox was used before `start` or after `stop`."""


class SandboxStopped(GymError, RuntimeError):
    """The sandbox ended while it was in use: its time to live passed, or somebody killed it."""


class SandboxUnreachable(ServerUnreachable):
    """The server of a sandbox is gone, or no longer has the sandbox. It says nothing about the code inside,
    so it fails the rollout and is never scored."""


class SandboxFileError(GymError, OSError):
    """A file could not be copied in or out."""


class ArchiveRefused(SandboxFileError):
    """The files in a folder of the sandbox can't be copied out: too large, too deep, or harmful."""


class ArchiveIncomplete(ArchiveRefused):
    """An archive ended before its end."""


class SandboxPtyError(GymError, RuntimeError):
    """An interactive session could not be opened or used."""


class SandboxUnsupported(GymError, NotImplementedError):
    """The provider has no such capability."""
