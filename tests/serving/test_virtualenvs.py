from __future__ import annotations

import asyncio
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nemo_gym.serving.requirements import requirements_of
from nemo_gym.serving.virtualenvs import python_for
from nemo_gym.wire.errors import GymError


def wheel(folder: Path, version: str) -> Path:
    path = folder / f"demo_pkg-{version}-py3-none-any.whl"
    info = f"demo_pkg-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("demo_pkg.py", f"VERSION = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: demo-pkg\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return path


def server(folder: Path, name: str, version: str) -> Path:
    made = folder / name
    made.mkdir()
    wheel(made, version)
    lines = f"# comment\n-e nemo-gym[dev] @ ../../\n./demo_pkg-{version}-py3-none-any.whl  # ours\n"
    (made / "requirements.txt").write_text(lines)
    return made


def imported(python: str) -> str:
    code = "import demo_pkg, nemo_gym, starlette; print(demo_pkg.VERSION)"
    return subprocess.run(
        [python, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


async def test_requirements_are_installed_once_however_many_ask_and_apart_from_others(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first, second = server(tmp_path, "first", "1.0"), server(tmp_path, "second", "2.0")
    pythons = await asyncio.gather(*(python_for(folder, cache) for folder in (first, first, second)))
    assert pythons[0] == pythons[1]
    assert pythons[2] != pythons[0]
    assert [imported(pythons[0]), imported(pythons[2])] == ["1.0", "2.0"]
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 2


async def test_without_requirements_of_its_own_code_runs_with_this_interpreter(tmp_path: Path) -> None:
    assert await python_for(tmp_path, tmp_path / "cache") == sys.executable
    (tmp_path / "requirements.txt").write_text("-e nemo-gym[dev] @ ../../\n\n# nothing else\n")
    assert await python_for(tmp_path, tmp_path / "cache") == sys.executable
    assert not (tmp_path / "cache").exists()


async def test_an_installation_that_fails_shows_what_pip_said_and_is_tried_again(tmp_path: Path) -> None:
    folder = server(tmp_path, "broken", "1.0")
    good = folder / "demo_pkg-1.0-py3-none-any.whl"
    content = good.read_bytes()
    good.write_bytes(b"not a wheel")
    with pytest.raises(GymError, match=r"installing the requirements of .*broken failed"):
        await python_for(folder, tmp_path / "cache")
    good.write_bytes(content)
    assert imported(await python_for(folder, tmp_path / "cache")) == "1.0"


async def test_two_files_that_say_what_is_needed_are_one_too_many(tmp_path: Path) -> None:
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text("")
    with pytest.raises(GymError, match="keep one of them"):
        await python_for(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(
    "line",
    [
        "-e ../../",
        "-e ../..",
        "-e../../",
        "--editable=../../",
        "-e ../../[dev]",
        "../../",
        '-e "../../"',
        "-e file:../../",
    ],
)
@pytest.mark.parametrize("project", ["", "nemo-gym", "nemo_gym"])
def test_the_root_of_the_servers_stands_for_this_package(tmp_path: Path, line: str, project: str) -> None:
    folder = tmp_path / "resources_servers" / "demo"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text(f"{line}  # this repository\nnumpy\n")
    if project:
        (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "{project}"\n')
    assert requirements_of(folder) == ["numpy"]


@pytest.mark.parametrize(
    ("line", "project"), [("-e ../../", "my-project"), ("-e ../other", ""), ("-e .", "")]
)
def test_another_project_is_installed(tmp_path: Path, line: str, project: str) -> None:
    folder = tmp_path / "resources_servers" / "demo"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text(f"{line}\n")
    if project:
        (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "{project}"\n')
    assert requirements_of(folder) == ["-e", str(folder / line.removeprefix("-e "))]
