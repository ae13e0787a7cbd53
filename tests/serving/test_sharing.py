"""Which server programs share a process, judged by their source."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.config.instances import Instance
from nemo_gym.serving.requirements import unmet
from nemo_gym.serving.sharing import siblings, why_apart

MAIN = '\nif __name__ == "__main__":\n    Server.run_webserver()\n'
PLAIN = """
from pathlib import Path
from nemo_gym.base_resources_server import SimpleResourcesServer

HERE = Path(__file__).parent
WORDS = HERE / "data/words.txt"

class Server(SimpleResourcesServer):
    async def verify(self, body):
        return body
"""


def program(folder: Path, text: str = PLAIN + MAIN, **beside: str) -> Path:
    made = folder / "resources_servers" / "demo"
    (made / "data").mkdir(parents=True)
    (made / "data" / "words.txt").write_text("one")
    for name, content in beside.items():
        (made / f"{name}.py").write_text(content)
    (made / "app.py").write_text(text)
    return made / "app.py"


def why(file: Path, **settings: object) -> str | None:
    return why_apart(file, Instance("demo", "resources_servers", "demo", settings, "app.py"))


def test_a_server_as_people_write_it_shares_a_process(tmp_path: Path) -> None:
    assert why(program(tmp_path), word="words", nested={"list": [1]}) is None


def test_modules_beside_it_are_read_too(tmp_path: Path) -> None:
    file = program(tmp_path, "import helper\n" + PLAIN + MAIN, helper="import inner\n", inner="import ray\n")
    assert siblings(file) == {"helper", "inner"}
    assert why(file) == "inner.py:1 imports ray"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import os; os.environ['A'] = '1'", "changes os.environ"),
        ("import os as o; o.chdir('/')", "uses os.chdir"),
        ("from os import environ; environ.setdefault('A', '1')", "uses os.environ.setdefault"),
        ("import multiprocessing.pool", "imports multiprocessing.pool"),
        ("from concurrent.futures import ProcessPoolExecutor as P; P()", "ProcessPoolExecutor"),
        ("import random; random.seed(1)", "uses random.seed"),
        ("import sys; sys.path.insert(0, 'x')", "uses sys.path"),
        ("TEXT = open('anything.txt')", "takes 'anything.txt' from the current folder"),
        ("TEXT = load('data/words.txt')", "takes 'data/words.txt' from the current folder"),
        ("import os; NAME = os.environ['NEMO_GYM_CONFIG_PATH']", "reads NEMO_GYM_CONFIG_PATH"),
        ("async def slow():\n    import time\n    time.sleep(1)", "calls time.sleep in an async function"),
        ("def late():\n    import helper", "imports helper inside a function"),
    ],
)
def test_what_neighbours_would_feel_needs_a_process_of_its_own(
    tmp_path: Path, line: str, reason: str
) -> None:
    found = why(program(tmp_path, f"{line}\n{PLAIN}{MAIN}", helper=""))
    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    "main",
    ["", "\nif __name__ == '__main__':\n    print(1)\n    Server.run_webserver()\n", MAIN + MAIN],
    ids=["none", "more than that", "two"],
)
def test_a_program_that_starts_in_another_way_needs_a_process_of_its_own(tmp_path: Path, main: str) -> None:
    assert "does not just call run_webserver" in (why(program(tmp_path, PLAIN + main)) or "")


def test_a_file_that_cannot_be_read_needs_a_process_of_its_own(tmp_path: Path) -> None:
    assert why(program(tmp_path, "def (")) is not None


def test_settings_can_ask_for_it(tmp_path: Path) -> None:
    file = program(tmp_path)
    assert why(file, num_workers=2) == "num_workers is 2"
    assert why(file, a={"b": "data/words.txt"}) == "its setting a.b is a path from its own folder"


def test_requirements_that_are_not_installed_are_unmet(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "-e nemo-gym[dev] @ ../../\nmsgspec>=0.18,<99\npyyaml ~= 6.0  # read\nstarlette!=0.1\n"
        "msgspec>=99\nno-such-package\nmsgspec[toml]\nmsgspec; python_version > '3'\n"
    )
    assert unmet(tmp_path) == [
        "msgspec>=99",
        "no-such-package",
        "msgspec[toml]",
        "msgspec; python_version > '3'",
    ]


def test_a_program_with_unmet_requirements_needs_a_process_of_its_own(tmp_path: Path) -> None:
    file = program(tmp_path)
    (file.parent / "requirements.txt").write_text("no-such-package==1.0\n")
    assert why(file) == "it needs no-such-package==1.0"


@pytest.mark.parametrize(
    "line", ["from nemo_gym import PARENT_DIR; PARENT_DIR", "import nemo_gym as n; n.PARENT_DIR"]
)
def test_the_root_of_a_process_is_not_that_of_a_server_elsewhere(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = program(tmp_path, f"{line}\n{PLAIN}{MAIN}")
    monkeypatch.chdir(tmp_path)
    assert why(file) is None
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert why(file) == "app.py:1 uses nemo_gym.PARENT_DIR"
