"""The limits of one sandbox, from its spec and the settings of its provider."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from nemo_gym.sandbox.providers.local.settings import LocalLimitsConfig, LocalOptions
from nemo_gym.sandbox.spec import SandboxSpec, settings_of

_OPTIONS: Final = "SandboxSpec.provider_options.local"
_DISK_MIB: Final = 256
"""All files of a sandbox that has no file system of its own, unless its spec has a limit."""


def process_limits(
    settings: LocalLimitsConfig, spec: SandboxSpec, *, isolated: bool, landlock: bool
) -> dict[str, int]:
    """The limits of each process (getrlimit(2)), by their names.

    Raises:
        InvalidSandbox: an option of the spec is unknown.
    """
    options = settings_of(LocalOptions, spec.provider_options.get("local"), _OPTIONS)
    own = settings_of(LocalLimitsConfig, {**asdict(settings), **options.limits}, f"{_OPTIONS}.limits")
    memory = own.memory_mib if spec.limits.memory_mib is None else spec.limits.memory_mib
    files = [own.file_mib, disk_mib(spec, landlock=landlock)]
    largest = min((size for size in files if size is not None), default=None)
    limits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_DATA": None if memory is None else memory << 20,
        "RLIMIT_FSIZE": None if largest is None else largest << 20,
        "RLIMIT_CPU": own.cpu_s,
        "RLIMIT_NOFILE": own.open_files,
        "RLIMIT_NPROC": own.processes if isolated else None,
    }
    return {name: most for name, most in limits.items() if most is not None}


def disk_mib(spec: SandboxSpec, *, landlock: bool) -> int | None:
    """The limit of all files together, which with namespaces holds for each of them only."""
    if spec.limits.disk_gib is None:
        return _DISK_MIB if landlock else None
    return spec.limits.disk_gib << 10
