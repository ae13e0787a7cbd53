"""Checks whether a workload can be published: it is valid, tested, complete and in the list of
environments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from nemo_gym.config.catalogue import list_all_environments
from nemo_gym.config.implementations import implementation_folder
from nemo_gym.config.manifest_composition import main_agent, main_server
from nemo_gym.config.resolve import Config
from nemo_gym.config.sources import search_roots
from nemo_gym.config.workloads import Workload
from nemo_gym.wire.errors import GymError
from nemo_gym.workloads.checks import check_workload
from nemo_gym.workloads.verifier_cases import run_fixture


class Condition(msgspec.Struct, frozen=True):
    """One requirement for publication."""

    name: str
    met: bool
    message: str


async def conditions(workload: Workload, search_dirs: Sequence[Path] = ()) -> list[Condition]:
    """All requirements for publication, and whether the workload meets each."""
    roots = search_roots(search_dirs)
    verdict = await check_workload(workload, search_dirs=search_dirs)
    problems = [
        Condition("valid", not verdict.problems, "\n".join(verdict.problems) or "manifest and configuration")
    ]
    if verdict.config:
        problems.append(await _fixture(workload, verdict.config, roots))
    unfinished = list(_placeholders(_folders(workload, verdict.config, roots)))
    problems.append(Condition("finished", not unfinished, "\n".join(unfinished) or f"no {PLACEHOLDER} left"))
    entries = [one for one in list_all_environments(roots) if one.source == str(workload.folder)]
    status = entries[0].status if entries else "not listed"
    problems.append(Condition("listed", status == "experimental", f"gym list environments: {status}"))
    return problems


PLACEHOLDER: Final = "TODO"
"""Marks a text that the author has to write."""


async def _fixture(workload: Workload, config: Config, roots: Sequence[Path]) -> Condition:
    try:
        results = await run_fixture(workload, config, roots)
    except GymError as error:
        return Condition("fixture", False, str(error))
    failures = [str(one) for one in results if not one.passed]
    return Condition("fixture", not failures, "\n".join(failures) or f"{len(results)} known answers")


def _folders(workload: Workload, config: Config | None, roots: Sequence[Path]) -> list[Path]:
    """The folder of the workload, and the folders of the servers that it uses."""
    agent = main_agent(config) if config else None
    server = main_server(config, agent) if config else None
    servers = [implementation_folder(one, roots) for one in (agent, server) if one]
    return list(dict.fromkeys([workload.folder, *filter(None, servers)]))


def _placeholders(folders: Sequence[Path]) -> Iterator[str]:
    for path in (path for folder in folders for path in _texts(folder)):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            if re.search(rf"\b{PLACEHOLDER}\b", line):
                yield f"{path}:{number}: {line.strip()[:100]}"


def _texts(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in _TEXTS and not is_hidden and path.is_file() and path.stat().st_size <= _MAX_BYTES:
            yield path


_TEXTS: Final = frozenset({".py", ".yaml", ".yml", ".md", ".txt", ".toml", ".jsonl"})
_MAX_BYTES: Final = 1 << 20
"""The size of the largest file that is searched for placeholders. Larger files are data."""
