"""Manifests: every problem at once, at its line; what they repeat of the configuration; whose the loop is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.integration_profile import infer_profile, prepare_problem, takes_any_server
from nemo_gym.config.manifest_composition import differences, shared_fields, sync_fields
from nemo_gym.config.manifest_file import ManifestError, read_manifest
from nemo_gym.config.workloads import Workload, find_workload, find_workloads
from nemo_gym.wire.errors import UsageError

WHOLE: dict[str, Any] = {
    "name": "sums",
    "version": "1.2.3",
    "kind": "environment",
    "integration_profile": "custom-gym-verifier",
    "domain": "math",
    "description": "Add numbers.",
    "modality": ["text"],
    "licensing": "MIT",
    "authors": ["A. Body"],
    "reward": {"range": [0, 1], "higher_is_better": True},
    "determinism": "seeded",
    "resources_server": "mcqa",
    "agent_server": "simple_agent",
    "datasets": [{"name": "example", "type": "example", "jsonl_fpath": "data/example.jsonl"}],
}
CONFIGURATION = """
sums:
  resources_servers:
    mcqa: {entrypoint: app.py, domain: math}
sums_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: sums}
      model_server: {type: responses_api_models, name: policy_model}
      datasets:
      - {name: example, type: example, jsonl_fpath: data/example.jsonl}
"""


def written(folder: Path, **changed: Any) -> Path:
    path = folder / "manifest.yaml"
    fields = {key: value for key, value in {**WHOLE, **changed}.items() if value is not None}
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    folder = tmp_path / "environments" / "sums"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIGURATION)
    written(folder)
    return find_workload("sums", None, [tmp_path])


def test_a_whole_manifest_is_read(tmp_path: Path) -> None:
    manifest = read_manifest(written(tmp_path))
    assert (manifest.reward.range, manifest.lifecycle, manifest.datasets[0].num_repeats) == (
        (0, 1),
        "active",
        1,
    )


def test_all_that_is_wrong_is_told_at_once_each_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(
        "name: my sums\n"
        "version: 1\n"
        "kind: enviroment\n"
        "integration_profile: custom-gym-verifier\n"
        "domain: math\n"
        "descripton: x\n"
        "modality: [text, 3]\n"
        "licensing: MIT\n"
        "authors: []\n"
        "reward:\n"
        "  range: [0, one]\n"
        "  higher_is_better: true\n"
        "determinism: seeded\n"
        "datasets:\n"
        "- name: a\n"
        "  type: exampel\n"
        "  jsonl_fpath: x\n"
        "- {nme: b}\n"
    )
    found = problems(path)
    assert [int(line.partition(":")[0]) for line in found] == [1, 1, 2, 3, 6, 7, 9, 11, 16, 18, 18]
    assert found[0] == "1: manifest requires: description"
    assert (
        "3: kind: there is no 'enviroment': one of environment, benchmark. Did you mean 'environment'?"
        in found
    )
    assert "6: descripton: there is no such field. Did you mean 'description'?" in found
    assert any(line.startswith("16: datasets.0.type: there is no 'exampel'") for line in found)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reward": {"range": [1, 1], "higher_is_better": True}}, "reward.range: expected [lowest, highest]"),
        ({"authors": ["a", "b", "a"]}, "authors: a: named twice"),
        ({"datasets": WHOLE["datasets"] * 2}, "datasets: example: the name of two data sets"),
        ({"kind": "benchmark"}, "datasets: a benchmark needs a data set of type benchmark"),
        ({"datasets": [{"name": "b", "type": "benchmark", "jsonl_fpath": "x"}]}, "needs a prepare_script"),
        ({"rollout_driver": "a.b:c"}, "rollout_driver: only for the profile external-rollout-driver"),
        ({"rollout_driver": "a.b"}, "rollout_driver: Expected `str` matching regex"),
        (
            {"resources_server": None, "agent_server": None},
            "custom-gym-verifier: manifest requires: resources_server, agent_server",
        ),
        ({"integration_profile": "external-rollout-driver"}, "manifest requires: rollout_driver"),
        ({"licensing": "ask us"}, "licensing: Expected `str` matching regex"),
        ({"lifecycle": "old"}, "lifecycle: there is no 'old': one of active, deprecated."),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_a_broken_rule_is_named(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    (found,) = problems(written(tmp_path, **changed))
    assert message in found


def test_a_file_that_is_no_mapping_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text("a: [1\nb: 2\n")
    with pytest.raises(ConfigError, match=r"manifest.yaml:2:2: "):
        read_manifest(path)


def test_a_manifest_that_agrees_with_its_configuration_has_no_differences(workload: Workload) -> None:
    assert list(differences(read_manifest(workload.manifest), shared_fields(workload.resolve()))) == []


def test_differences_name_both_sides(workload: Workload) -> None:
    written(workload.folder, agent_server="other", datasets=[{**WHOLE["datasets"][0], "jsonl_fpath": "y"}])
    found = dict(differences(read_manifest(workload.manifest), shared_fields(workload.resolve())))
    assert found["agent_server",] == "says 'other', the configuration has 'simple_agent'"
    assert found["datasets",] == ("example.jsonl_fpath: says 'y', the configuration has 'data/example.jsonl'")


def test_syncing_changes_what_is_repeated_and_leaves_the_rest_and_its_comments(workload: Workload) -> None:
    text = (
        "name: sums  # ours\nagent_server: other  # was\ndatasets:\n- name: gone\n\n# about it\ndomain: math"
    )
    after = sync_fields(text, shared_fields(workload.resolve()))
    assert after.startswith(
        "name: sums  # ours\nagent_server: simple_agent\n  # was\ndatasets:\n- name: example"
    )
    assert "data/example.jsonl\n\n# about it\ndomain: math\n" in after
    assert yaml.safe_load(after)["resources_server"] == "mcqa"
    assert sync_fields(after, shared_fields(workload.resolve())) == after
    with pytest.raises(ConfigError, match="separate lines"):
        sync_fields("{name: sums, agent_server: other}", shared_fields(workload.resolve()))


def test_the_first_root_wins_and_an_environment_comes_before_a_benchmark(
    workload: Workload, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    for group in ("environments", "benchmarks"):
        (other / group / "sums").mkdir(parents=True)
        (other / group / "sums" / "config.yaml").touch()
    roots = [tmp_path, other]
    assert find_workload("sums", None, roots).folder == workload.folder
    assert find_workload("sums", "benchmark", roots).folder.is_relative_to(other)
    own = [one for one in find_workloads(roots) if one.source != "built-in"]
    assert [one.kind for one in own] == ["environment", "benchmark"]
    with pytest.raises(UsageError, match=r"no benchmark 'summs' .* Did you mean 'sums'"):
        find_workload("summs", "benchmark", roots)


AGENT = """
class Mine(SimpleResponsesAPIAgent):
    config: MineConfig

    async def responses(self, body):
        {body}
"""


@pytest.mark.parametrize(
    ("agent", "body", "more", "profile"),
    [
        ("simple_agent", "", "", "custom-gym-verifier"),
        ("gymnasium_agent", "", "", "custom-gym-verifier"),
        ("claude_code_agent", "", "", "external-agent-loop"),
        ("remote_agent", "", "", "external-agent-loop"),
        ("mine", "return await self.ask(body)", "", "custom-gym-agent-loop"),
        ("mine", "raise NotImplementedError", "", "external-agent-loop"),
        ("simple_agent", "", "rollout_collection_driver: a.b:c\n", "external-rollout-driver"),
    ],
)
def test_the_profile_is_seen_without_importing_the_code(
    workload: Workload, tmp_path: Path, agent: str, body: str, more: str, profile: str
) -> None:
    assert workload.config is not None
    workload.config.write_text(CONFIGURATION.replace("simple_agent:", f"{agent}:") + more)
    if body:
        code = tmp_path / "responses_api_agents" / agent / "app.py"
        code.parent.mkdir(parents=True)
        code.write_text(AGENT.format(body=body))
    config = workload.resolve(search_dirs=[tmp_path])
    (actor,) = config.of("responses_api_agents")
    assert infer_profile(config, actor, [tmp_path]) == profile


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def prepare() -> Path: ...", None),
        ("def prepare(limit=3, *, seed: int = 0, **more) -> pathlib.Path: ...", None),
        ("def prepare(): ...", None),
        ("def other(): ...", "has no function prepare()"),
        ("async def prepare(): ...", "line 1: prepare() must not be async"),
        (
            "def prepare(folder, *, seed): ...",
            "line 1: prepare() needs arguments, give folder, seed a default",
        ),
        ("def prepare() -> None: ...", "line 1: prepare() must return the Path that it wrote, not None"),
        ("def prepare(", "can't be read as Python"),
        (None, "there is no such file"),
    ],
)
def test_the_signature_of_prepare_is_checked(tmp_path: Path, code: str | None, problem: str | None) -> None:
    script = tmp_path / "prepare.py"
    if code is not None:
        script.write_text(code)
    assert prepare_problem(script) == problem


def test_an_agent_that_declares_its_resources_server_acts_in_any(tmp_path: Path) -> None:
    code = tmp_path / "app.py"
    code.write_text("class C(Base):\n    resources_server: ResourcesServerRef\n")
    assert takes_any_server(code)
    code.write_text("class C(Base):\n    other: int\n")
    assert not takes_any_server(code)
