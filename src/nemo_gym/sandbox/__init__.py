"""Sandboxes for untrusted code: one provider interface and a secure local default."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nemo_gym.sandbox.blocking import Sandbox as Sandbox
    from nemo_gym.sandbox.config import allow_unsafe as allow_unsafe
    from nemo_gym.sandbox.config import resolve_provider_config as resolve_provider_config
    from nemo_gym.sandbox.config import resolve_provider_metadata as resolve_provider_metadata
    from nemo_gym.sandbox.errors import SandboxCreateError as SandboxCreateError
    from nemo_gym.sandbox.errors import SandboxCreateVerificationError as SandboxCreateVerificationError
    from nemo_gym.sandbox.errors import SandboxPtyError as SandboxPtyError
    from nemo_gym.sandbox.pool import SandboxPool as SandboxPool
    from nemo_gym.sandbox.program import Program as Program
    from nemo_gym.sandbox.program import ProgramResult as ProgramResult
    from nemo_gym.sandbox.program_runs import run_program as run_program
    from nemo_gym.sandbox.providers.base import PtySession as PtySession
    from nemo_gym.sandbox.providers.base import SandboxProvider as SandboxProvider
    from nemo_gym.sandbox.providers.base import SandboxPtySession as SandboxPtySession
    from nemo_gym.sandbox.providers.registry import create_provider as create_provider
    from nemo_gym.sandbox.providers.registry import get_provider_class as get_provider_class
    from nemo_gym.sandbox.providers.registry import list_providers as list_providers
    from nemo_gym.sandbox.providers.registry import register_provider as register_provider
    from nemo_gym.sandbox.sandbox import AsyncSandbox as AsyncSandbox
    from nemo_gym.sandbox.spec import ExecResult as ExecResult
    from nemo_gym.sandbox.spec import SandboxEndpoint as SandboxEndpoint
    from nemo_gym.sandbox.spec import SandboxExecResult as SandboxExecResult
    from nemo_gym.sandbox.spec import SandboxHandle as SandboxHandle
    from nemo_gym.sandbox.spec import SandboxPtySpec as SandboxPtySpec
    from nemo_gym.sandbox.spec import SandboxResources as SandboxResources
    from nemo_gym.sandbox.spec import SandboxSpec as SandboxSpec
    from nemo_gym.sandbox.spec import SandboxStatus as SandboxStatus
    from nemo_gym.sandbox.utils import rewrite_image as rewrite_image

_HOMES = {
    "AsyncSandbox": "sandbox",
    "ExecResult": "spec",
    "Program": "program",
    "ProgramResult": "program",
    "PtySession": "providers.base",
    "Sandbox": "blocking",
    "SandboxCreateError": "errors",
    "SandboxCreateVerificationError": "errors",
    "SandboxEndpoint": "spec",
    "SandboxExecResult": "spec",
    "SandboxHandle": "spec",
    "SandboxPool": "pool",
    "SandboxProvider": "providers.base",
    "SandboxPtyError": "errors",
    "SandboxPtySession": "providers.base",
    "SandboxPtySpec": "spec",
    "SandboxResources": "spec",
    "SandboxSpec": "spec",
    "SandboxStatus": "spec",
    "allow_unsafe": "config",
    "create_provider": "providers.registry",
    "get_provider_class": "providers.registry",
    "list_providers": "providers.registry",
    "register_provider": "providers.registry",
    "resolve_provider_config": "config",
    "resolve_provider_metadata": "config",
    "rewrite_image": "utils",
    "run_program": "program_runs",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
