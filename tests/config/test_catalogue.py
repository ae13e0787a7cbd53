"""What is listed and found, from folders and from what comes with this package."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.config.catalogue import (
    TYPES,
    BenchmarkEntry,
    list_all_environments,
    list_benchmarks,
    list_servers,
    pick,
    search,
)
from nemo_gym.wire.errors import UsageError

SERVER = """
geometry:
  resources_servers:
    geometry: {entrypoint: app.py, domain: math, description: Prove theorems about triangles.}
geometry_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: geometry}
      model_server: {type: responses_api_models, name: policy_model}
"""
MEASURED = """
      datasets:
      - {name: t, type: benchmark, jsonl_fpath: t.jsonl, prepare_script: prepare.py, num_repeats: 8}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in {
        "resources_servers/geometry/app.py": "",
        "resources_servers/geometry/configs/geometry.yaml": SERVER,
        "resources_servers/geometry/configs/hard.yaml": SERVER,
        "environments/plane/config.yaml": SERVER,
        "benchmarks/triangles/config.yaml": SERVER.rstrip("\n") + MEASURED,
        "benchmarks/broken/config.yaml": "a: [",
        "environments/unfinished/manifest.yaml": "name: unfinished\n",
        "responses_api_agents/wise/app.py": "class C:\n    resources_server: Ref\n",
        "responses_api_agents/alone/app.py": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_a_benchmark_is_listed_with_what_its_configuration_says(root: Path) -> None:
    broken, triangles = (one for one in list_benchmarks([root]) if one.source != "built-in")
    assert (broken.name, bool(broken.problem)) == ("broken", True)
    assert (triangles.domain, triangles.agent, triangles.num_repeats) == ("math", "simple_agent", 8)
    assert (triangles.dataset, triangles.prepare_script) == ("t.jsonl", "prepare.py")


def test_environments_are_those_with_a_manifest_with_a_configuration_and_classes(root: Path) -> None:
    found = {(one.name, one.kind): one for one in list_all_environments([root])}
    assert found["plane", "environment"].status == "no-manifest"
    assert found["plane", "environment"].description == "Prove theorems about triangles."
    assert found["unfinished", "environment"].status == "broken"
    assert "manifest requires: version" in found["unfinished", "environment"].problem
    assert found["triangles", "benchmark"].domain == "math"
    assert found["mcqa", "environment"].source == "built-in"


def test_servers_are_folders_and_what_comes_with_this_package(root: Path) -> None:
    servers = {one.name: one for one in list_servers("resources_servers", [root])}
    assert (servers["geometry"].domain, len(servers["geometry"].variants)) == ("math", 2)
    assert servers["mcqa"].source == "built-in"
    agents = {one.name: one.pattern for one in list_servers("responses_api_agents", [root])}
    assert (agents["wise"], agents["alone"], agents["simple_agent"]) == (
        "composable",
        "self-contained",
        "composable",
    )
    assert "vllm_model" in {one.name for one in list_servers("responses_api_models", [root])}


@pytest.mark.parametrize(
    ("query", "types", "found"),
    [
        ("triangles", ["benchmarks"], ["triangles"]),
        ("TRIANGLE", ["environments"], ["triangles", "plane"]),
        ("triangels", ["benchmarks"], ["triangles"]),
        ("geometri", ["resources-servers"], ["geometry"]),
        ("nothing like it", list(TYPES), []),
    ],
)
def test_a_query_finds_names_first_then_descriptions_then_what_is_near(
    root: Path, query: str, types: list[str], found: list[str]
) -> None:
    assert [entry.name for _, entry in search(query, types, [root])] == found


def test_a_name_that_is_not_there_is_met_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"gym list benchmarks has no 'sum'. Did you mean 'sums'"):
        pick([BenchmarkEntry(name="sums")], "sum", "gym list benchmarks")
