"""What a person types on the command line becomes an Environment class, or one clear line of complaint."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
from pathlib import Path

import pytest

from nemo_gym import Environment, Response
from nemo_gym.environments import discovery
from nemo_gym.environments.discovery import (
    EnvironmentInfo,
    environment_info,
    find_environment,
    list_environments,
    reference,
    resolve_reference,
    search_roots,
)
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.wire.errors import EnvironmentFault, UsageError, VerifierFault
from nemo_gym.wire.items import assistant

ENVIRONMENT = '''
from typing import ClassVar
from nemo_gym import Environment, tool


class {name}(Environment):
    """{doc}

    More about it.
    """

    domain: ClassVar[str] = "math"

    @tool
    def look(self, where: str) -> str:
        """Look somewhere."""
        return where

    def verify(self, task, response, session):
        return 1.0
'''


def write(path: Path, name: str = "Echo", doc: str = "Says it again.") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ENVIRONMENT.format(name=name, doc=doc))
    return path


async def score(ref: str, row: dict, text: str = "42") -> float:
    link = LocalEnvironment(find_environment(ref)())
    async with link.session(row) as session:
        return (await link.verify(session, Response.of([assistant(text)]))).value


def run(coroutine):
    return asyncio.run(coroutine)


@pytest.mark.parametrize("place", ["echo.py", "echo/environment.py", "environments/echo/environment.py"])
def test_a_name_is_found_in_each_place_of_a_search_root(tmp_path: Path, place: str) -> None:
    write(tmp_path / place)
    assert find_environment("echo", roots=[tmp_path]).__name__ == "Echo"


def test_the_earlier_root_wins(tmp_path: Path) -> None:
    write(tmp_path / "one" / "echo.py", doc="First.")
    write(tmp_path / "two" / "echo.py", doc="Second.")
    roots = [tmp_path / "two", tmp_path / "one"]
    assert environment_info(find_environment("echo", roots=roots)).description == "Second."
    assert [info.description for info in list_environments(roots=roots) if info.name == "echo"] == ["Second."]


def test_the_search_roots_are_those_of_the_variable_then_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEMO_GYM_EXTRA_ROOTS", "/one:/two")
    assert search_roots() == [Path("/one"), Path("/two"), tmp_path]


def test_a_user_shadows_a_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "package" / "echo" / "environment.py", doc="Built in.")
    write(tmp_path / "mine" / "echo.py", doc="Mine.")
    monkeypatch.setattr(discovery, "library", lambda: {"echo": tmp_path / "package" / "echo"})
    assert environment_info(find_environment("echo", roots=[tmp_path / "mine"])).description == "Mine."
    assert [info.source for info in list_environments(roots=[])] == ["built-in"]


def test_a_script_that_has_nothing_to_do_with_gym_shadows_nothing_and_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text("raise SystemExit('was run')")
    write(tmp_path / "echo" / "environment.py")
    assert find_environment("echo", roots=[tmp_path]).__name__ == "Echo"


def test_listing_reads_files_without_running_them(tmp_path: Path) -> None:
    path = write(tmp_path / "echo.py")
    path.write_text(path.read_text() + "\nraise SystemExit('was run')\n")
    found = [info for info in list_environments(roots=[tmp_path]) if info.name == "echo"]
    assert found == [EnvironmentInfo("echo", "Says it again.", "math", "tools", str(path), ("look",))]


def test_what_is_read_from_a_file_is_what_the_class_says(tmp_path: Path) -> None:
    path = write(tmp_path / "echo.py")
    path.write_text(
        path.read_text() + "\nfrom nemo_gym import StepEnvironment\n"
        "class _Base(StepEnvironment):\n    domain = 'games'\n"
        "class _Middle(_Base):\n    'Play on.'\n    @tool\n    async def pause(self): 'Wait.'\n"
    )
    path.write_text(path.read_text().replace("class Echo(Environment)", "class _Echo(Environment)"))
    path.write_text(path.read_text() + "class Game(_Middle):\n    @tool\n    def act(self): 'Act.'\n")
    (read,) = [info for info in list_environments(roots=[tmp_path]) if info.name == "echo"]
    said = environment_info(find_environment("echo", roots=[tmp_path]))
    assert read == EnvironmentInfo("echo", "Play on.", "games", "steps", str(path), ("pause", "act"))
    assert (said.description, said.domain, said.kind, said.source, said.tools) == (
        (read.description, read.domain, read.kind, read.source, read.tools)
    )


def test_every_built_in_environment_is_listed_as_its_class_describes_it() -> None:
    for info in list_environments(roots=[]):
        assert info.source != "built-in" or environment_info(find_environment(info.name, roots=[])) == info


def test_a_file_may_be_given_by_path_and_by_class(tmp_path: Path) -> None:
    path = write(tmp_path / "some-file.py")
    assert find_environment(str(path)) is find_environment(f"{path}:Echo")
    assert find_environment(str(tmp_path / "some-file.py")).folder() == tmp_path


def test_a_folder_may_be_given_by_path(tmp_path: Path) -> None:
    write(tmp_path / "demo" / "environment.py")
    assert find_environment(f"{tmp_path}/demo").__name__ == "Echo"


def test_a_changed_file_is_loaded_again(tmp_path: Path) -> None:
    path = write(tmp_path / "echo.py")
    find_environment(str(path))
    write(path, doc="Changed since it was first loaded.")
    assert environment_info(find_environment(str(path))).description == "Changed since it was first loaded."


def test_a_loaded_class_can_be_pickled_inspected_and_found_again(tmp_path: Path) -> None:
    kind = find_environment(str(write(tmp_path / "echo.py")))
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert "Says it again." in inspect.getsource(kind)
    assert resolve_reference(str(reference(kind))) is kind


def test_a_class_made_inside_a_function_has_no_reference() -> None:
    class Local(Environment):
        pass

    assert reference(Local) is None


def test_a_neighbouring_module_can_be_imported_and_the_folder_does_not_stay_on_the_path(
    tmp_path: Path,
) -> None:
    kinds = []
    for word in ("one", "two"):
        path = write(tmp_path / word / "echo.py")
        (path.parent / "neighbour_module.py").write_text(f"WORD = {word!r}")
        path.write_text("import neighbour_module\n" + path.read_text())
        kinds.append(find_environment(str(path)))
        assert str(path.parent) not in sys.path
    words = [sys.modules[kind.__module__].neighbour_module.WORD for kind in kinds]
    assert words == ["one", "two"]


def test_a_neighbour_named_like_the_standard_library_does_not_take_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "echo.py")
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('shadowed')")
    path.write_text("import colorsys\n" + path.read_text())
    assert find_environment(str(path)).__name__ == "Echo"


def test_an_installed_package_offers_environments_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "sold_separately.py")
    (tmp_path / "broken_one.py").write_text("import no_such_library")
    metadata = tmp_path / "sold-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: sold\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[nemo_gym.environments]\nsold = sold_separately:Echo\nbad = broken_one:Echo\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_environment("sold", roots=[]).__name__ == "Echo"
    listed = {info.name: info for info in list_environments(roots=[])}
    assert listed["sold"].source == "sold_separately:Echo"
    assert "no_such_library" in listed["bad"].description
    with pytest.raises(UsageError, match=r"'bad'.*broken_one:Echo.*no_such_library"):
        find_environment("bad", roots=[])


def test_an_unknown_name_names_its_neighbours_and_where_it_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "echo.py")
    with pytest.raises(UsageError, match=rf"'ecko'.*Did you mean 'echo'.*{tmp_path}.*built-in"):
        find_environment("ecko", roots=[tmp_path])


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path / "echo.py")
    with pytest.raises(UsageError, match=r"ecko\.py: there is no such file\. Did you mean 'echo\.py'"):
        find_environment(str(tmp_path / "ecko.py"))


def test_several_environments_in_a_file_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "echo.py")
    path.write_text(path.read_text() + "class Other(Echo):\n    pass\n")
    with pytest.raises(UsageError, match=r"several environments \(Echo, Other\): say which, .*echo\.py:Echo"):
        find_environment(str(path))
    assert find_environment(f"{path}:Other").__name__ == "Other"


def test_a_file_without_an_environment_says_so_and_offers_its_functions(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text("from nemo_gym import Environment\n")
    with pytest.raises(UsageError, match=r"reward\.py has no Environment class$"):
        find_environment(str(path))
    path.write_text("def score(text):\n    return 1\n")
    with pytest.raises(UsageError, match=r"to score with a function say .*reward\.py:score"):
        find_environment(str(path))


def test_an_unknown_member_names_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "echo.py")
    with pytest.raises(UsageError, match=r"echo\.py has no 'Eco'\. Did you mean 'Echo'"):
        find_environment(f"{path}:Eco")
    with pytest.raises(UsageError, match="neither an Environment class nor a function"):
        find_environment(f"{path}:ClassVar")


@pytest.mark.parametrize(
    ("source", "line", "problem"),
    [
        ("x = 1\ny = x / 0\n", 2, "ZeroDivisionError"),
        ("def broken(:\n", 1, "invalid syntax"),
        ("\n\nimport no_such_module_at_all\n", 3, "no_such_module_at_all"),
        ("raise SystemExit(3)\n", 1, "it exits"),
    ],
)
def test_a_file_that_cannot_be_imported_names_file_and_line(
    tmp_path: Path, source: str, line: int, problem: str
) -> None:
    path = tmp_path / "bad.py"
    path.write_text(source)
    with pytest.raises(UsageError, match=rf"bad\.py:{line}: .*{problem}") as caught:
        find_environment(str(path))
    assert "\n" not in str(caught.value)


def test_an_error_in_a_neighbour_names_the_neighbour(tmp_path: Path) -> None:
    (tmp_path / "faulty_neighbour.py").write_text("\n1 / 0\n")
    (tmp_path / "bad.py").write_text("import faulty_neighbour\n")
    with pytest.raises(UsageError, match=r"faulty_neighbour\.py:2: ZeroDivisionError"):
        find_environment(str(tmp_path / "bad.py"))


FUNCTIONS = '''
def score(text, expected_answer):
    """Right when the number is there."""
    return float(expected_answer in text)

async def waits(response, task, session):
    return {"long": float(len(response.final_text)), "row": float(session.row is task)}

def lenient(text, bonus=0.25):
    return bonus

def rest(text, **columns):
    return len(columns["expected_answer"])

def wrong(text, /):
    return 1

def silly():
    return "good"
'''


@pytest.fixture
def rewards(tmp_path: Path) -> Path:
    path = tmp_path / "reward.py"
    path.write_text(FUNCTIONS)
    return path


def test_a_function_is_an_environment_whose_parameters_are_columns(rewards: Path) -> None:
    row = {"expected_answer": "42", "responses_create_params": {"input": "?"}}
    assert run(score(f"{rewards}:score", row)) == 1.0
    assert run(score(f"{rewards}:score", row, "41")) == 0.0
    assert run(score(f"{rewards}:waits", row)) == 3.0
    assert run(score(f"{rewards}:lenient", row)) == 0.25
    assert run(score(f"{rewards}:lenient", {**row, "bonus": 0.5})) == 0.5
    assert run(score(f"{rewards}:rest", row)) == 2.0


def test_a_function_environment_has_the_functions_name_and_description(rewards: Path) -> None:
    kind = find_environment(f"{rewards}:score")
    assert (kind.name(), kind.folder()) == ("score", rewards.parent)
    assert environment_info(kind).description == "Right when the number is there."
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert resolve_reference(str(reference(kind))) is kind


def test_a_missing_column_is_named_before_any_model_is_asked(rewards: Path) -> None:
    with pytest.raises(EnvironmentFault, match="missing column `expected_answer`"):
        run(score(f"{rewards}:score", {"responses_create_params": {"input": "?"}}))


def test_a_function_that_returns_no_reward_is_a_fault_of_the_verifier(rewards: Path) -> None:
    with pytest.raises(VerifierFault, match="returned str"):
        run(score(f"{rewards}:silly", {}))


def test_a_parameter_that_cannot_be_named_is_refused(rewards: Path) -> None:
    with pytest.raises(UsageError, match=r"wrong\(\): parameter 'text' can't be filled by name"):
        find_environment(f"{rewards}:wrong")
