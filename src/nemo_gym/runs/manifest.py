"""The manifest of a run. It makes sure that a resumed run is the same run and not a similar one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, cast

import msgspec

from nemo_gym.environments.reward_terms import RewardTerms
from nemo_gym.environments.rewards import Rewards
from nemo_gym.runs.paths import RunPaths, whole_file
from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import open_regular


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that must be the same for two halves of a run to belong together."""

    environment: dict[str, Any]
    """`ref`, `settings` and a `fingerprint` of its code."""
    model: dict[str, Any]
    """`type`, `name` and `url`."""
    agent: dict[str, Any]
    """`name` and `arguments`."""
    sampling: dict[str, Any]
    inputs: dict[str, Any]
    """`source`, `limit`, `repeats`, `seed`, `split`, and for a file its `sha256`."""
    reward: dict[str, Any] = {}
    """The `weights` of reward components and the `shapes`, where the run sets them."""


_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999."""


class Manifest(msgspec.Struct):
    """`<stem>_manifest.json`: written when a run starts, again when it ends."""

    identity: Identity
    requested: Annotated[int, msgspec.Meta(ge=0)]
    """Rollouts in the plan."""
    gym_version: str
    started_at: Annotated[float, msgspec.Meta(ge=0, le=_LAST_SECOND)]
    """Unix time."""
    status: str = "running"
    """running, complete, interrupted (by the user), or stopped (by an error or a limit)."""
    ended_at: float | None = None
    counts: dict[str, int] = {}
    """`scored`, `failed` and `pending` when last written."""
    reason: str = ""
    """Why the run stopped early, if it did."""
    plan_sha256: str = ""
    """The digest of the materialised inputs; empty in a manifest of an older version."""
    rewards: Rewards | None = None
    """What the environment declares about its rewards; None where that is not known."""
    accepted: list[str] = []
    """Changes that the user accepted when the run was resumed."""
    schema_version: str = "1.0"

    @property
    def scale(self) -> RewardScale:
        """What the rewards of the run can be."""
        return UNKNOWN_SCALE if self.rewards is None else self.rewards.scale

    @property
    def terms(self) -> RewardTerms:
        """The weights and shapes of the run's rewards.

        Raises:
            UsageError: they are not valid.
        """
        reward = self.identity.reward
        return RewardTerms.of(reward.get("weights"), reward.get("shapes"))

    @property
    def environment_name(self) -> str:
        """A reference or a URL; empty for servers of several environments."""
        environment = self.identity.environment
        return str(environment.get("ref") or environment.get("url") or "")

    @property
    def model_name(self) -> str:
        """The name of the model, else its type; empty where the agent brings its model."""
        model = self.identity.model
        kind = str(model.get("type") or "")
        return str(model.get("name") or ("" if kind == "none" else kind))

    def save(self, paths: RunPaths) -> None:
        """Write the file, whole or not at all."""
        with whole_file(paths.manifest) as file:
            file.write(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def load_manifest(path: Path) -> Manifest:
    """The manifest at `path`.

    Raises:
        UsageError: it is missing or not a manifest.
    """
    with open_regular(path) as file:
        content = file.read()
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
        msgspec.convert(manifest.identity.environment, _Environment)
        msgspec.convert(manifest.identity.model, _Model)
        json.loads(content, object_pairs_hook=_once)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a run manifest: {str(error).replace('$.', '')}") from None
    return manifest


class _Environment(msgspec.Struct):
    """The parts of an environment's identity that are used, with their types."""

    ref: str = ""
    settings: dict[str, Any] = {}
    url: str = ""


class _Model(msgspec.Struct):
    type: str = ""
    name: str = ""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return fields


def differences(old: Identity, new: Identity) -> list[str]:
    """One line for each thing that is not the same, for instance `model.name was 'a', is now 'b'`."""
    return list(_differences("", msgspec.to_builtins(old), msgspec.to_builtins(new)))


def _differences(path: str, was: Any, now: Any) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        before, after = cast("dict[str, Any]", was), cast("dict[str, Any]", now)
        for key in dict.fromkeys([*before, *sorted(after)]):
            yield from _differences(f"{path}.{key}" if path else key, before.get(key), after.get(key))
    elif was != now:
        yield f"{path} was {was!r}, is now {now!r}"
