"""`gym env start NAME key=value` means what `gym run NAME key=value` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.cli.environment_settings import with_environment_settings
from nemo_gym.cli.selection import ConfigSelection
from nemo_gym.config.implementations import environment_of
from nemo_gym.config.overrides import parse_override
from nemo_gym.wire.errors import UsageError

PARCEL = """
from nemo_gym import Environment
from nemo_gym.environments import base

class Parcel(Environment):
    class Config(base.Config):
        difficulty: int = 1
        limit: int = 3
        label: str = ""

    def verify(self, task, response, session):
        return float(self.config.difficulty)
"""


@pytest.fixture
def parcel(tmp_path: Path) -> str:
    path = tmp_path / "parcel.py"
    path.write_text(PARCEL)
    return str(path)


def selected(*words: str, **flags: list[str]) -> ConfigSelection:
    selection = ConfigSelection(words=list(words), **flags)
    return with_environment_settings(selection, selection.roots())


def test_settings_reach_the_environment(parcel: str) -> None:
    config = selected(parcel, "difficulty=2", "limit=5", 'label="a: {b}"').resolve(offline=True)
    (instance,) = config.of("resources_servers")
    _, settings = environment_of(instance)
    assert settings == {"difficulty": 2, "limit": 5, "label": "a: {b}"}


def test_a_built_in_environment_has_its_settings_too() -> None:
    config = selected("reasoning", "level=2").resolve(offline=True)
    (instance,) = config.of("resources_servers")
    assert environment_of(instance)[1]["level"] == 2


def test_changes_to_the_configuration_stay_what_they_are(parcel: str) -> None:
    words = (parcel, "head_server.port=0", "++x=1", "~y", "cache_dir=here", "difficulty=2")
    changed = selected(*words).words
    assert changed == [*words[:-1], "++parcel.resources_servers.parcel.difficulty=2"]


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("difficulti=2", r"parcel has no setting 'difficulti' .*Did you mean 'difficulty'"),
        ("difficulty=hard", r"parcel: Expected `int`, got `str` - at `\$.difficulty`"),
    ],
)
def test_a_wrong_setting_is_named(parcel: str, word: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        selected(parcel, word)


def test_words_beside_a_configuration_change_it(parcel: str) -> None:
    assert selected("difficulty=2", config=["run.yaml"]).words == ["difficulty=2"]
    assert selected(parcel, "difficulty=2", config=["run.yaml"]).words == [parcel, "difficulty=2"]


def test_an_environment_with_a_configuration_of_its_own_is_configured_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "resources_servers" / "parcel" / "configs"
    folder.mkdir(parents=True)
    (folder / "parcel.yaml").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert selected("parcel", "difficulty=2").words == ["parcel", "difficulty=2"]


@pytest.mark.parametrize("text", ["été", "two\nlines", 'a "quoted" word', "C:\\new"])
def test_any_text_reaches_the_configuration_as_it_is(parcel: str, text: str) -> None:
    words = selected(parcel, f"label={text}").words or []
    assert parse_override(words[-1]).value == text
