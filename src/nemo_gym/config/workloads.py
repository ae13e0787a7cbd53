"""Environments and benchmarks as folders with a configuration and perhaps a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nemo_gym.config.builtins import POLICY, model_tree
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.manifest import Kind
from nemo_gym.config.manifest_file import MANIFEST, read_manifest
from nemo_gym.config.resolve import Config, resolve
from nemo_gym.config.selectors import candidates
from nemo_gym.config.server_kinds import PLACEHOLDER
from nemo_gym.config.sources import BUILT_IN
from nemo_gym.wire.errors import UsageError, did_you_mean

GROUPS: Final[dict[Kind, str]] = {"environment": "environments", "benchmark": "benchmarks"}
"""The folder of a root in which workloads of a kind are."""
FIXTURE: Final = "golden.jsonl"
"""The file of golden answers with their rewards, in the form of an environment's golden cases."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One environment or benchmark."""

    name: str
    kind: Kind
    folder: Path
    config: Path | None
    """Its configuration; None when there is none."""

    @property
    def source(self) -> str:
        """`built-in`, or its folder."""
        return "built-in" if self.folder.is_relative_to(BUILT_IN) else str(self.folder)

    @property
    def manifest(self) -> Path:
        """The path of its manifest, which may be missing."""
        return self.folder / MANIFEST

    @property
    def fixture(self) -> Path:
        """The path of its golden answers, which may be missing."""
        return self.folder / FIXTURE

    def resolve(self, overrides: Sequence[str] = (), search_dirs: Sequence[Path] = ()) -> Config:
        """Its configuration, without addresses and without a model if it names none.

        Raises:
            ConfigError: there is none, or it can't be used.
        """
        if self.config is None:
            where = f"configs/{self.name}.yaml or config.yaml"
            raise ConfigError(f"{self.folder}: has no configuration: expected {where}")
        model = {POLICY: model_tree(PLACEHOLDER, {})}
        return resolve([self.config], overrides, initial=model, search_dirs=search_dirs, offline=True)


def find_workload(name: str, kind: Kind | None, roots: Sequence[Path]) -> Workload:
    """The workload of that name. Without a kind, an environment comes before a benchmark.

    Raises:
        UsageError: there is none; with the nearest name.
    """
    every = find_workloads(roots)
    for workload in every:
        if workload.name == name and kind in (None, workload.kind):
            return workload
    names = {workload.name for workload in every if kind in (None, workload.kind)}
    looked = ", ".join(map(str, roots))
    what = kind or "environment or benchmark"
    raise UsageError(
        f"no {what} {name!r} with a folder of its own.{did_you_mean(name, names)} (looked in {looked})"
    )


def workload_at(manifest: Path) -> Workload:
    """The workload that a manifest belongs to.

    Raises:
        UsageError: there is no such file.
        ConfigError: it can't be used.
    """
    if not manifest.is_file():
        raise UsageError(f"{manifest}: there is no such manifest")
    folder = manifest.absolute().parent
    kind = read_manifest(manifest).kind
    return Workload(folder.name, kind, folder, _config_in(folder))


def find_workloads(roots: Sequence[Path]) -> list[Workload]:
    """Every workload, environments first, by name. The same name in several roots means the first one."""
    workloads: dict[tuple[Kind, str], Workload] = {}
    for kind, group in GROUPS.items():
        for workload in _workloads_in(kind, group, roots):
            workloads.setdefault((kind, workload.name), workload)
    return sorted(workloads.values(), key=lambda one: (one.kind == "benchmark", one.name))


def _workloads_in(kind: Kind, group: str, roots: Sequence[Path]) -> Iterator[Workload]:
    for root in (*roots, BUILT_IN):
        for folder in (root.absolute() / group).glob("*/"):
            config = _config_in(folder)
            if config or (folder / MANIFEST).is_file():
                yield Workload(folder.name, kind, folder, config)


def _config_in(folder: Path) -> Path | None:
    paths = (folder.parent.parent / path for path in candidates(folder.parent.name, folder.name))
    return next((path for path in paths if path.is_file()), None)
