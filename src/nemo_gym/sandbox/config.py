"""Named sandbox blocks of a configuration, and the default isolation."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, cast

from nemo_gym.sandbox.errors import InvalidSandbox
from nemo_gym.wire.errors import did_you_mean

log: Final = logging.getLogger(__name__)
DEFAULT_METADATA: Final = "default_metadata"
"""The only key of a block that names no provider."""

_ATTRIBUTION: Final = {
    "team": "NEMO_GYM_TEAM",
    "user": "NEMO_GYM_USER",
    "workload": "NEMO_GYM_WORKLOAD",
    "run_id": "NEMO_GYM_RUN_ID",
}


def resolve_provider_config(
    sandbox_provider: str | Mapping[str, Any], named_configs: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The mapping `{provider name: settings}` of a block.

    Args:
        sandbox_provider: the block itself, or the name of one.
        named_configs: the configuration that has blocks by name.

    Raises:
        TypeError: `sandbox_provider` is neither.
        InvalidSandbox: there is no such block, or it has not exactly one provider.
    """
    block, where = _block(sandbox_provider, named_configs)
    block.pop(DEFAULT_METADATA, None)
    if len(block) != 1:
        raise InvalidSandbox(
            f"{where} must have exactly one provider key {{provider_name: config}}, got keys: {sorted(block)}"
        )
    return block


def provider_setting(
    setting: str | Mapping[str, Any] | None, blocks: Mapping[str, Any]
) -> str | dict[str, Any] | None:
    """The provider that the setting `sandbox_provider` selects, as `SandboxPool` takes it.

    Args:
        setting: the name of a provider or of a block, `NAME=URL`, or a block; empty for none.
        blocks: the configuration that has blocks by name.

    Raises:
        InvalidSandbox: a block has not exactly one provider.
    """
    if not setting:
        return None
    if isinstance(setting, Mapping):
        return resolve_provider_config(setting)
    if isinstance(blocks.get(setting), Mapping):
        return resolve_provider_config(setting, blocks)
    name, equals, url = setting.partition("=")
    return {name: {"url": url}} if equals else setting


def resolve_provider_metadata(
    sandbox_provider: str | Mapping[str, Any], named_configs: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The `default_metadata` of a block, to be merged into a spec's; arguments as above."""
    block, _ = _block(sandbox_provider, named_configs)
    return dict(block.get(DEFAULT_METADATA) or {})


def attribution_metadata() -> dict[str, str]:
    """Labels for a spec's metadata that name the owner of the work: the values of the environment variables
    `NEMO_GYM_TEAM`, `_USER`, `_WORKLOAD` and `_RUN_ID`."""
    return {label: os.environ[name] for label, name in _ATTRIBUTION.items() if os.environ.get(name)}


def allow_unsafe() -> None:
    """Let local sandboxes run less isolated where this machine can't isolate them, unless their settings say
    otherwise. It holds for this process and for those that it starts."""
    os.environ[_ALLOW_UNSAFE] = _mark(os.getpid())


def default_isolation() -> Literal["auto", "required"]:
    """`required`, or `auto` after `allow_unsafe` was called here or in a parent process that still runs. An
    environment variable that is set by hand has no effect but a warning."""
    mark = os.environ.get(_ALLOW_UNSAFE, "")
    if not mark:
        return "required"
    pid = mark.partition("-")[0]
    if pid.isdecimal() and len(pid) < _LONGEST_PID and mark == _mark(int(pid)):
        return "auto"
    log.warning(
        "the environment variable %s is ignored: only `allow_unsafe` of nemo_gym.sandbox, or "
        "`create: {isolation: auto}` in the settings of the local provider, lets sandboxes run less isolated",
        _ALLOW_UNSAFE,
    )
    return "required"


def _mark(pid: int) -> str:
    """A name of a running process that no later process with the same id gets; empty when it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return f"{pid}-{fields[_START_TIME]}"


_ALLOW_UNSAFE: Final = "NEMO_GYM_ALLOW_UNSAFE"
"""The variable that passes `allow_unsafe` on to child processes: it names the process that called it."""
_LONGEST_PID: Final = 12
_START_TIME: Final = 19
"""The place of the start time among the fields after the name."""


def _block(reference: Any, blocks: Mapping[str, Any] | None) -> tuple[dict[str, Any], str]:
    if isinstance(reference, str):
        block = (blocks or {}).get(reference)
        if not isinstance(block, Mapping):
            names = [name for name, value in (blocks or {}).items() if isinstance(value, Mapping)]
            raise InvalidSandbox(
                f"Sandbox provider reference {reference!r} is not defined in the merged config. "
                f"Define a top-level '{reference}:' block.{did_you_mean(reference, names)}"
            )
        return _plain(block), f"Sandbox block {reference!r}"
    if isinstance(reference, Mapping):
        return _plain(reference), "Sandbox provider config from inline sandbox_provider config"
    raise TypeError(f"sandbox_provider: expected the name of a block or a mapping, not {reference!r}")


def _plain(value: Any) -> Any:
    """Mappings of any kind, an OmegaConf node too, as dicts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in cast("list[Any]", value)]
    return value
