"""Servers' own tests and packages, in virtual environments of their own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from nemo_gym.config.resolve import resolve
from nemo_gym.serving.packages import packages_for, prefetch
from nemo_gym.wire.errors import UsageError
from nemo_gym.workloads.server_tests import run_tests, server_folder, server_folders

TEST = """
import app, demo_pkg
from resources_servers.{name} import app as same


def test_it():
    assert {holds}
"""


def wheel(folder: Path) -> None:
    info = "demo_pkg-1.5.dist-info"
    with zipfile.ZipFile(folder / "demo_pkg-1.5-py3-none-any.whl", "w") as file:
        file.writestr("demo_pkg.py", "VERSION = '1.5'\n")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: demo-pkg\nVersion: 1.5\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


def server(root: Path, name: str, *, holds: bool = True) -> Path:
    folder = root / "resources_servers" / name
    (folder / "tests").mkdir(parents=True)
    wheel(folder)
    (folder / "app.py").touch()
    (folder / "requirements.txt").write_text("./demo_pkg-1.5-py3-none-any.whl\n")
    (folder / "tests" / "test_app.py").write_text(TEST.format(name=name, holds=holds))
    return folder


async def test_tests_run_with_the_requirements_and_the_root_of_their_server(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    good = await run_tests(server(tmp_path, "good"), cache)
    assert (good.name, good.passed, good.exit_code) == ("good", True, 0)
    bad = await run_tests(server(tmp_path, "bad", holds=False), cache, keep_virtualenv=False)
    assert (bad.passed, bad.exit_code) == (False, 1)
    assert "assert False" in bad.output


async def test_async_tests_run_as_they_are_unless_the_project_says_otherwise(tmp_path: Path) -> None:
    folder = tmp_path / "resources_servers" / "waits"
    (folder / "tests").mkdir(parents=True)
    (folder / "app.py").touch()
    (folder / "tests" / "test_app.py").write_text("async def test_it():\n    pass\n")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    assert (await run_tests(folder, tmp_path / "cache")).passed
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\nasyncio_mode = 'strict'\n")
    assert not (await run_tests(folder, tmp_path / "cache")).passed


async def test_a_virtual_environment_is_kept_unless_it_is_not_wanted(tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", server(tmp_path, "one")
    await run_tests(folder, cache)
    assert any(path.is_dir() for path in cache.iterdir())
    await run_tests(folder, cache, keep_virtualenv=False)
    assert not any(path.is_dir() for path in cache.iterdir())


async def test_a_server_without_tests_or_with_requirements_that_do_not_exist_fails(tmp_path: Path) -> None:
    none = await run_tests(tmp_path, tmp_path / "cache")
    assert (none.passed, "has no tests: expected tests/test_app.py" in none.output) == (False, True)
    folder = server(tmp_path, "broken")
    (folder / "demo_pkg-1.5-py3-none-any.whl").write_bytes(b"not a wheel")
    broken = await run_tests(folder, tmp_path / "cache")
    assert (broken.passed, "installing the requirements" in broken.output) == (False, True)


def test_shards_share_the_servers_out_and_the_first_root_wins(tmp_path: Path) -> None:
    for root, name in (("a", "x"), ("a", "y"), ("b", "y"), ("b", "z")):
        server(tmp_path / root, name)
    roots = [tmp_path / "a", tmp_path / "b"]
    assert [folder.parts[-3:] for folder in server_folders(roots, 2, 0)] == [
        ("a", "resources_servers", "x"),
        ("b", "resources_servers", "z"),
    ]
    assert [folder.parts[-3] for folder in server_folders(roots, 2, 1)] == ["a"]
    assert server_folder("resources_servers/z", roots) == server_folder("z", roots)
    with pytest.raises(UsageError, match="shard_index 2: expected 0 to 1"):
        server_folders(roots, 2, 2)


async def test_packages_are_those_of_the_server_and_those_installed_here(tmp_path: Path) -> None:
    found = await packages_for(server(tmp_path, "one"), tmp_path / "cache")
    versions = {one["name"]: one["version"] for one in found}
    assert versions["demo-pkg"] == "1.5"
    assert "msgspec" in versions


async def test_virtual_environments_are_made_beforehand_and_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        server(tmp_path, name)
    tree = {
        name: {"resources_servers": {name: {"entrypoint": "app.py", "domain": "other"}}}
        for name in ("one", "two")
    }
    config = resolve(initial={**tree, "cache_dir": str(tmp_path / "cache")}, offline=True)
    first = await prefetch(config, [tmp_path])
    assert [(one.name, one.own, Path(one.python).exists()) for one in first] == [
        ("one", True, True),
        ("two", True, True),
    ]
    assert await prefetch(config, [tmp_path]) == first


PROMPTED = """
from nemo_gym import PARENT_DIR
from nemo_gym.prompt import load_prompt_config
from nemo_gym.skills import load_skill_directory

HERE = "resources_servers/asking"


def test_it():
    for place in (HERE, ".", PARENT_DIR / HERE):
        assert load_prompt_config(f"{place}/prompts/judge.yaml").user == "Is {answer} right?"
    assert load_skill_directory(f"{HERE}/skills").skills[0].name == "adding"
"""


async def test_paths_from_the_root_are_found_in_the_folder_of_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "resources_servers" / "asking"
    for inside in ("tests", "prompts", "skills/adding"):
        (folder / inside).mkdir(parents=True)
    (folder / "app.py").touch()
    (folder / "prompts" / "judge.yaml").write_text("user: Is {answer} right?\n")
    (folder / "skills" / "adding" / "SKILL.md").write_text("---\nname: adding\ndescription: d\n---\n")
    (folder / "tests" / "test_app.py").write_text(PROMPTED)
    ended = await run_tests(folder, tmp_path / "cache")
    assert ended.passed, ended.output
