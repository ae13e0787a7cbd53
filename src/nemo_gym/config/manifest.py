"""The fields of `manifest.yaml`, the description of an environment or a benchmark, and their rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["environment", "benchmark"]
Profile: TypeAlias = Literal[
    "custom-gym-verifier", "custom-gym-agent-loop", "external-agent-loop", "external-rollout-driver"
]
Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]

_VERSION: Final = r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"
_LICENSE: Final = r"^[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*$"
_WORD: Final = r"^[a-z][a-z0-9_-]*$"
_CALLABLE: Final = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class Reward(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What rewards mean."""

    range: tuple[float, float]
    """The lowest and the highest reward."""
    higher_is_better: bool


class ManifestDataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One data set, as the configuration declares it."""

    name: Text
    type: Literal["train", "validation", "example", "benchmark"]
    jsonl_fpath: Text
    num_repeats: Annotated[int, msgspec.Meta(ge=1)] = 1
    license: str | None = None
    prepare_script: str | None = None
    prompt_config: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][\w.-]*$")]
    version: Annotated[str, msgspec.Meta(pattern=_VERSION)]
    """Semantic version."""
    kind: Kind
    integration_profile: Profile
    domain: Text
    description: Text
    modality: list[Annotated[str, msgspec.Meta(pattern=_WORD)]]
    """text, image, audio, video, ..."""
    licensing: Annotated[str, msgspec.Meta(pattern=_LICENSE)]
    """An SPDX expression, or internal, proprietary, unknown."""
    authors: Annotated[list[Text], msgspec.Meta(min_length=1)]
    reward: Reward
    determinism: Literal["seeded", "stochastic", "unknown"]
    datasets: list[ManifestDataset]
    resources_server: Text | None = None
    """Implementation of the configuration's resources server."""
    agent_server: Text | None = None
    """Implementation of its agent."""
    model_server: Text | None = None
    rollout_driver: Annotated[str, msgspec.Meta(pattern=_CALLABLE)] | None = None
    """The `module:callable` that makes all rollouts."""
    grading_mode: str | None = None
    session_model: Literal["episode", "step"] | None = None
    state: Literal["none", "per_session"] | None = None
    sandbox: bool | str | dict[str, Any] | None = None
    canonical_split: str | None = None
    standard_prompt_config: str | None = None
    adopted_from: str | None = None
    lifecycle: Literal["active", "deprecated"] = "active"


REQUIRED: Final[dict[Profile, tuple[str, ...]]] = {
    "custom-gym-verifier": ("resources_server", "agent_server"),
    "custom-gym-agent-loop": ("resources_server", "agent_server"),
    "external-agent-loop": ("agent_server",),
    "external-rollout-driver": ("rollout_driver",),
}
"""The fields that a profile needs beside those of every manifest."""
DRIVEN: Final = "external-rollout-driver"


def rule_problems(manifest: Manifest) -> Iterator[tuple[tuple[str, ...], str]]:
    """The problems of a manifest that concern several fields: the path of a field, and the problem there."""
    low, high = manifest.reward.range
    if not low < high:
        yield ("reward", "range"), f"expected [lowest, highest], got [{low:g}, {high:g}]"
    if names := _duplicates(manifest.authors):
        yield ("authors",), f"{', '.join(names)}: named twice"
    if names := _duplicates([dataset.name for dataset in manifest.datasets]):
        yield ("datasets",), f"{', '.join(names)}: the name of two data sets"
    for index, dataset in enumerate(manifest.datasets):
        if dataset.type == "benchmark" and not dataset.prepare_script:
            yield ("datasets", str(index)), f"data set {dataset.name}: a benchmark needs a prepare_script"
    if manifest.kind == "benchmark" and all(one.type != "benchmark" for one in manifest.datasets):
        yield ("datasets",), "a benchmark needs a data set of type benchmark"
    if manifest.rollout_driver and manifest.integration_profile != DRIVEN:
        yield ("rollout_driver",), f"only for the profile {DRIVEN}"
    missing = [
        field
        for field in REQUIRED[manifest.integration_profile]
        if not msgspec.structs.asdict(manifest)[field]
    ]
    if missing:
        profile = manifest.integration_profile
        yield ("integration_profile",), f"{profile}: manifest requires: {', '.join(missing)}"


def _duplicates(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
