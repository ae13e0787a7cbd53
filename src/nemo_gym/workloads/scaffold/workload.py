"""`gym env init --environment NAME` and `--benchmark NAME`: a workload with a manifest and known answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from nemo_gym.config.builtins import POLICY, agent_tree, environment_tree, model_tree
from nemo_gym.config.manifest import DRIVEN, Kind, Profile
from nemo_gym.config.manifest_composition import SHARED_FIELDS, shared_fields, sync_fields
from nemo_gym.config.selectors import config_path
from nemo_gym.config.server_kinds import ENTRYPOINT, PLACEHOLDER
from nemo_gym.config.sources import read_sources
from nemo_gym.config.tree import Tree, as_mapping, to_yaml
from nemo_gym.config.workloads import GROUPS, Workload
from nemo_gym.environments.base import Golden, StepEnvironment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.task_source import own_tasks
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import read_rows
from nemo_gym.wire.task import Row
from nemo_gym.workloads.scaffold.render import class_name, dataset, lines, render, write_files
from nemo_gym.workloads.scaffold.server import REQUIREMENTS, Scale, example_rows, known_answers, server_files
from nemo_gym.workloads.server_tests import GROUP
from nemo_gym.workloads.verifier_cases import golden_row, run_fixture


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRequest:
    """The properties of a new workload."""

    name: str
    kind: Kind
    profile: Profile = "custom-gym-verifier"
    reuse_verifier: str = ""
    """An existing resources server; empty for a new one."""
    scale: Scale | None = None
    """None for the scale of the existing verifier, or from 0 to 1."""


@dataclass(frozen=True, slots=True)
class _Verifier:
    """The resources server of a workload, with tasks and answers to them."""

    implementation: str
    fields: Tree
    rows: list[Row]
    cases: list[Golden]
    scale: Scale
    references: Tree = field(default_factory=Tree)
    """The instances that it refers to."""
    steps: bool = False
    """Whether it has the reset/step form."""


async def write_workload(request: WorkloadRequest, root: Path, roots: Sequence[Path]) -> list[Path]:
    """Write the workload and the new servers that it needs, and return the files, the manifest first.

    Args:
        root: the folder of `environments`, `benchmarks`, `resources_servers` and `responses_api_agents`.
        roots: the folders in which an existing verifier is looked for. The verifier scores the known answers.

    Raises:
        UsageError: the name is wrong, a folder exists already, or there is no such verifier.
        GymError: the verifier can't score an answer.
    """
    home = root / GROUPS[request.kind] / request.name
    if request.reuse_verifier:
        verifier = _existing_verifier(request.reuse_verifier, roots, request.scale)
    else:
        verifier = _new_verifier(request.name, request.scale or Scale())
    config = home / ("config.yaml" if request.kind == "benchmark" else f"configs/{request.name}.yaml")
    workload = Workload(request.name, request.kind, home.absolute(), config)
    files = {
        workload.manifest: to_yaml(_manifest(request, verifier)),
        config: to_yaml(_configuration(request, verifier, home, root)),
        **_files(request, verifier, home, root),
    }
    agent = root / "responses_api_agents" / f"{request.name}_agent"
    paths = write_files(request.name, [home, root / GROUP / request.name, agent], files)
    resolution = workload.resolve(search_dirs=[root, *roots])
    manifest = workload.manifest.read_text(encoding="utf-8")
    workload.manifest.write_text(sync_fields(manifest, shared_fields(resolution)), encoding="utf-8")
    if request.reuse_verifier:
        await run_fixture(workload, resolution, [root, *roots], update=True)
    return paths


def _files(request: WorkloadRequest, verifier: _Verifier, home: Path, root: Path) -> dict[Path, str]:
    """All files except the manifest and the configuration."""
    words = {
        "name": request.name,
        "kind": request.kind,
        "profile": request.profile,
        "server": verifier.implementation,
        "Class": class_name(request.name),
    }
    files = {
        home / "golden.jsonl": lines(golden_row(case) for case in verifier.cases),
        home / "data" / "example.jsonl": lines(verifier.rows),
        home / "data" / ".gitignore": render("gitignore"),
        home / "README.md": render("workload_README.md", **words),
    }
    if request.kind == "benchmark":
        files[home / "prepare.py"] = render("prepare.py", **words)
    if request.profile == DRIVEN:
        files[home / "driver.py"] = render("driver.py", **words)
    if request.profile == "custom-gym-agent-loop":
        agent = root / "responses_api_agents" / f"{request.name}_agent"
        files[agent / "app.py"] = render("agent_app.py", **words)
        files[agent / "tests" / "test_app.py"] = render("agent_test.py", **words)
        files[agent / "requirements.txt"] = REQUIREMENTS
    if not request.reuse_verifier:
        files |= server_files(request.name, root, verifier.scale)
    return files


def _manifest(request: WorkloadRequest, verifier: _Verifier) -> Tree:
    driver = {"rollout_driver": f"{GROUPS[request.kind]}.{request.name}.driver:drive"}
    scale = verifier.scale
    return {
        "name": request.name,
        "version": "0.1.0",
        "kind": request.kind,
        "integration_profile": request.profile,
        "domain": verifier.fields.get("domain", "other"),
        "description": "TODO: what it is, in a sentence",
        "modality": ["text"],
        "licensing": "unknown",
        "authors": ["TODO: who wrote it"],
        "reward": {"range": [scale.low, scale.high], "higher_is_better": scale.higher_is_better},
        "determinism": "unknown",
        **dict.fromkeys(SHARED_FIELDS, ""),
        **(driver if request.profile == DRIVEN else {}),
        "session_model": "step" if verifier.steps else "episode",
        "lifecycle": "active",
    }


def _configuration(request: WorkloadRequest, verifier: _Verifier, home: Path, root: Path) -> Tree:
    name = request.name
    datasets = [dataset(home / "data" / "example.jsonl", root)]
    if request.kind == "benchmark":
        script = (home / "prepare.py").relative_to(root).as_posix()
        data_file = home / "data" / f"{name}_benchmark.jsonl"
        datasets.append(dataset(data_file, root, "benchmark", prepare_script=script, num_repeats=1))
    agent, settings = _agent(request, steps=verifier.steps)
    driver = {"rollout_collection_driver": f"{GROUPS[request.kind]}.{name}.driver:drive"}
    return {
        name: {GROUP: {verifier.implementation: verifier.fields}},
        f"{name}_agent": agent_tree(agent, environment=name, settings=settings, datasets=datasets),
        POLICY: model_tree(PLACEHOLDER, {}),
        **verifier.references,
        **(driver if request.profile == DRIVEN else {}),
    }


def _agent(request: WorkloadRequest, *, steps: bool) -> tuple[str, Tree]:
    """The implementation of the agent and its settings."""
    match request.profile:
        case "custom-gym-agent-loop":
            return f"{request.name}_agent", {}
        case "external-agent-loop":
            url = f"${{oc.select:{request.name}_agent_url,'{_AGENT_URL}'}}"
            return "remote_agent", {"agent_base_url": url}
        case "custom-gym-verifier" | "external-rollout-driver":
            return "gymnasium_agent" if steps else "simple_agent", {}


_AGENT_URL: Final = "http://localhost:9000"
"""The URL of the external agent, unless the configuration has another."""


def _new_verifier(name: str, scale: Scale) -> _Verifier:
    fields = environment_tree(name, None)[name][GROUP][name]
    return _Verifier(name, fields, example_rows(), known_answers(scale), scale)


def _existing_verifier(name: str, roots: Sequence[Path], scale: Scale | None) -> _Verifier:
    tree = read_sources([config_path("reuse_verifier", name, roots)], roots).tree
    servers = (as_mapping(as_mapping(value).get(GROUP)) for value in tree.values())
    fields = next((as_mapping(one[name]) for one in servers if name in one), None)
    if fields is None:
        raise UsageError(f"the configuration of {name} has no {GROUP}.{name}").about("reuse_verifier")
    names = {as_mapping(value).get("name") for value in fields.values()}
    references = {key: tree[key] for key in tree if key in names and key != POLICY}
    home = next((root / GROUP / name for root in roots if (root / GROUP / name / ENTRYPOINT).is_file()), None)
    if home is None:
        kind = find_environment(name, roots=roots)
        split = "example" if (kind.folder() / "data" / "example.jsonl").is_file() else "train"
        rows = list(own_tasks(kind(), split, 0, _ROWS))
        cases, steps = list(kind().golden()), issubclass(kind, StepEnvironment)
        return _Verifier(name, fields, rows, cases, scale or Scale(*kind.reward_range), references, steps)
    rows = [row for _, row in islice(read_rows(home / "data" / "example.jsonl"), _ROWS)]
    cases = [
        Golden(name=f"no answer to example {number}", kind="malformed", task=row, output="")
        for number, row in enumerate(rows, start=1)
    ]
    return _Verifier(name, fields, rows, cases, scale or Scale(), references)


_ROWS: Final = 5
"""The number of examples of a new workload."""
