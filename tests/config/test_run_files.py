"""Prompt files, skill folders and run settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.prompts import load_prompt
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.config.skills import load_skills


def test_a_prompt_file_is_found_in_a_root_and_may_hold_anything_between_braces(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("user: 'Solve ${{x}}$ for {q}'\n")
    prompt = load_prompt("p.yaml", [tmp_path])
    assert (prompt.name, prompt.user, prompt.system) == ("p.yaml", "Solve ${{x}}$ for {q}", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("system: a", "missing required field `user`"),
        ("user: 1", "Expected `str`"),
        ("user: a\nusr: b", "unknown field `usr`"),
        ("- user", "expected a mapping at the top, got a list"),
        ("user: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("user: a\nuser: b", r"p\.yaml:2:1: found duplicate key 'user'$"),
        ("system: a\nuser: [", r"p\.yaml:3:1: did not find expected [^\n]*$"),
    ],
)
def test_what_is_no_prompt_file_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_prompt("p.yaml", [tmp_path])
    with pytest.raises(ConfigError, match="no such file"):
        load_prompt("other.yaml", [tmp_path])


def skill(folder: Path, name: str, front: str = "name: {}\ndescription: Does it.\nversion: 1.2\n") -> Path:
    (folder / name).mkdir(parents=True)
    path = folder / name / "SKILL.md"
    path.write_text(f"---\n{front.format(name)}---\nText.\n")
    return path


def test_skills_are_listed_with_a_digest_of_every_file(tmp_path: Path) -> None:
    path = skill(tmp_path / "skills", "search")
    skill(tmp_path / "skills", "build")
    found = load_skills("skills", [tmp_path])
    assert [(one.name, one.description, one.version) for one in found.skills] == [
        ("build", "Does it.", "1.2"),
        ("search", "Does it.", "1.2"),
    ]
    assert load_skills("skills", [tmp_path]) == found
    path.write_text(path.read_text() + "More.")
    assert load_skills("skills", [tmp_path]).hash != found.hash


def test_a_folder_without_skills_or_with_a_broken_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        load_skills("skills", [tmp_path])
    with pytest.raises(ConfigError, match=r"no SKILL\.md"):
        load_skills(".", [tmp_path])
    skill(tmp_path, "bad", "title: {}\n")
    with pytest.raises(ConfigError, match=r"bad/SKILL\.md.*name"):
        load_skills(".", [tmp_path])
    skill(tmp_path, "double", "name: a\nname: b\n")
    with pytest.raises(ConfigError, match=r"double/SKILL\.md:3:1: found duplicate key 'name'"):
        load_skills("double", [tmp_path])


def test_flags_win_over_keys_and_request_parameters_are_merged() -> None:
    tree = {"limit": 5, "num_repeats": {"a": 2}, "responses_create_params": {"top_p": 1, "temperature": 1}}
    asked = RunSettings(limit=3, sampling={"temperature": 0})
    assert asked.over({**tree, "skills": None, "unrelated": 1}) == RunSettings(
        limit=3, num_repeats={"a": 2}, sampling={"top_p": 1, "temperature": 0}
    )


@pytest.mark.parametrize("tree", [{"limit": 0}, {"num_repeats": {"a": 0}}, {"split": 3}, {"skills": "path"}])
def test_a_key_of_the_wrong_type_is_an_error(tree: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(tree))):
        RunSettings().over(tree)
