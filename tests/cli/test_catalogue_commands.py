"""`gym list`, `gym search`, `gym dev test`, and the flags that every command has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym import __version__
from nemo_gym.cli.command_line import VERBOSE, take_flags
from nemo_gym.cli.main import main
from nemo_gym.sandbox.config import default_isolation

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

MANIFEST = """
name: {name}
version: 0.1.0
kind: environment
integration_profile: external-agent-loop
domain: {domain}
description: Look at a picture.
modality: [text, image]
licensing: {licensing}
authors: [me]
reward: {{range: [0, 1], higher_is_better: true}}
determinism: unknown
agent_server: command
datasets: []
lifecycle: {lifecycle}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two environments with a manifest."""
    for name, domain, licensing, lifecycle in (
        ("charts", "knowledge", "MIT", "active"),
        ("maps", "games", "internal", "deprecated"),
    ):
        home = tmp_path / "environments" / name
        home.mkdir(parents=True)
        facts = {"name": name, "domain": domain, "licensing": licensing, "lifecycle": lifecycle}
        (home / "manifest.yaml").write_text(MANIFEST.format(**facts))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--status", "experimental"], ["charts", "maps"]),
        (["--modality", "image", "--domain", "games"], ["maps"]),
        (["--licensing", "MIT"], ["charts"]),
        (["--lifecycle", "deprecated"], ["maps"]),
        (["--kind", "benchmark"], []),
    ],
)
def test_environments_are_picked_by_what_their_manifest_says(
    gym: Gym, folder: Path, words: list[str], names: list[str]
) -> None:
    result = gym("list", "environments", *words, "--json", cwd=folder)
    entries = json.loads(result.stdout)
    assert [entry["name"] for entry in entries if entry["source"] != "built-in"] == names


def test_where_there_is_nothing_to_list_it_is_said(gym: Gym, folder: Path) -> None:
    assert gym("list", "environments", "--domain", "rgx", cwd=folder).stdout == "no environments like that\n"


def test_one_is_shown_whole_and_others_are_looked_for_elsewhere_too(
    gym: Gym, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    result = gym("list", "environments", "charts", "--search-dir", folder, cwd=elsewhere)
    facts = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert (facts["licensing"], facts["modality"]) == ("MIT", "text, image")
    missing = gym("list", "environments", "chart", "--search-dir", folder, cwd=elsewhere)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "Did you mean 'charts'?" in missing.stderr


@pytest.mark.parametrize(
    ("what", "known"),
    [
        ("benchmarks", "gsm8k"),
        ("agents", "simple_agent"),
        ("models", "vllm_model"),
        ("resources-servers", "mcqa"),
    ],
)
def test_what_comes_with_the_package_is_listed(gym: Gym, tmp_path: Path, what: str, known: str) -> None:
    assert known in {one["name"] for one in json.loads(gym("list", what, "--json", cwd=tmp_path).stdout)}
    table = gym("list", what, cwd=tmp_path).stdout.splitlines()
    assert table[0].split()[0] == "name"


def test_a_search_says_what_each_thing_is_or_that_there_is_nothing(gym: Gym, folder: Path) -> None:
    results = json.loads(gym("search", "picture", "--json", cwd=folder).stdout)
    assert [(one["type"], one["name"]) for one in results] == [
        ("environments", "charts"),
        ("environments", "maps"),
    ]
    assert (
        json.loads(gym("search", "environments", "chrats", "--json", cwd=folder).stdout)[0]["name"]
        == "charts"
    )
    assert gym("search", "zzzz", cwd=folder).stdout == "nothing matches 'zzzz'\n"


def test_versions_are_those_of_everything_that_matters(gym: Gym) -> None:
    versions = json.loads(gym("--version", "--json").stdout)
    assert versions["gym"] == __version__
    assert versions["dependencies"]["msgspec"]
    assert {"name", "release", "machine"} <= versions["system"].keys()
    alone = gym("--json")
    assert (alone.returncode, "--json goes with --version" in alone.stderr) == (2, True)


@pytest.mark.parametrize("words", [["-v", "env", "resolve", "mcqa"], ["env", "resolve", "mcqa", "--verbose"]])
def test_verbose_may_stand_anywhere_and_reaches_the_configuration_of_servers(
    gym: Gym, tmp_path: Path, words: list[str]
) -> None:
    result = gym(*words, cwd=tmp_path)
    assert (result.returncode, "verbose: true" in result.stdout) == (0, True)


def test_verbose_servers_log_every_request(gym: Gym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    start = ["start", "mcqa", "--model-type", "random", "--port", "0", "--detach", "--verbose"]
    codes = [gym("env", *words, cwd=tmp_path).returncode for words in (start, ["status"], ["stop"])]
    assert codes == [0, 0, 0]
    (written,) = tmp_path.glob("nemo-gym/logs/*/gym.log")
    assert "INFO 127.0.0.1:" in written.read_text()


def test_what_follows_two_dashes_is_left_alone() -> None:
    assert take_flags(VERBOSE, ["a", "-v", "--", "-v"]) == (["a", "--", "-v"], True)
    assert take_flags(VERBOSE, ["a", "--", "--verbose"]) == (["a", "--", "--verbose"], False)


def test_an_unknown_flag_is_met_with_the_nearest(gym: Gym) -> None:
    result = gym("env", "validate", "mcqa", "--configg", "x")
    assert (result.returncode, "--config" in result.stderr) == (2, True)


def test_this_package_s_own_tests_can_be_run(gym: Gym) -> None:
    result = gym("dev", "test", "tests/wire/test_masking.py", "-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("words", [["--allow-unsafe", "--version"], ["--version", "--allow-unsafe"]])
def test_allow_unsafe_may_stand_anywhere_and_is_the_only_word_that_weakens_sandboxes(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEMO_GYM_ALLOW_UNSAFE", "")  # so that it is put back
    assert default_isolation() == "required"
    for arguments, isolation in ((["--version"], "required"), (words, "auto")):
        monkeypatch.setattr("sys.argv", ["gym", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code in (None, 0)
        assert default_isolation() == isolation
    assert capsys.readouterr().err == ""
