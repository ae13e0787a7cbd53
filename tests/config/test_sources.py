from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError, ConfigPathNotFoundError, MalformedConfigPathsError
from nemo_gym.config.sources import read_sources, read_yaml, search_roots


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_later_files_win_and_a_file_wins_over_what_it_includes(tmp_path: Path) -> None:
    write(
        tmp_path,
        deep="x: deep\ny: deep\nz: deep\nw: deep",
        inner="config_paths: [deep.yaml]\nx: inner\ny: inner\nz: inner",
        first="config_paths: [inner.yaml]\nx: first\ny: first",
        second="x: second",
    )
    sources = read_sources(["first.yaml", "second.yaml"], [tmp_path])
    assert sources.tree == {"w": "deep", "z": "inner", "y": "first", "x": "second"}
    assert sources.files == ("first.yaml", "inner.yaml", "deep.yaml", "second.yaml")


def test_a_later_sibling_wins_with_everything_it_pulled_in(tmp_path: Path) -> None:
    write(tmp_path, inner="x: inner", second="config_paths: [inner.yaml]", first="x: first")
    assert read_sources(["first.yaml", "second.yaml"], [tmp_path]).tree == {"x": "inner"}


def test_a_file_named_twice_is_read_once_and_told_of(tmp_path: Path) -> None:
    write(tmp_path, base="x: 1", a="config_paths: [base.yaml]\nx: 2", b="config_paths: [./base.yaml]")
    sources = read_sources(["a.yaml", "b.yaml"], [tmp_path])
    assert sources.tree == {"x": 2}
    assert sources.duplicates == ("./base.yaml",)


def test_files_that_include_each_other_are_each_read_once(tmp_path: Path) -> None:
    write(tmp_path, a="config_paths: [b.yaml]\nx: a", b="config_paths: [a.yaml]\nx: b")
    assert read_sources(["a.yaml"], [tmp_path]).tree == {"x": "a"}


def test_the_first_root_that_has_a_file_wins(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for folder in (mine, theirs):
        folder.mkdir()
        write(folder, a=f"x: {folder.name}")
    write(theirs, b="y: 1")
    assert read_sources(["a.yaml", "b.yaml"], [mine, theirs]).tree == {"x": "mine", "y": 1}


def test_the_roots_are_the_given_folders_the_variables_and_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEMO_GYM_EXTRA_ROOTS", f"{tmp_path / 'b'}:{tmp_path / 'c'}")
    monkeypatch.chdir(tmp_path)
    roots = search_roots([tmp_path / "a"])
    assert roots[:4] == [tmp_path / "a", tmp_path / "b", tmp_path / "c", tmp_path]


def test_a_missing_file_names_every_place_that_was_tried(tmp_path: Path) -> None:
    with pytest.raises(ConfigPathNotFoundError) as raised:
        read_sources(["no/such.yaml"], [tmp_path / "a", tmp_path / "b"])
    assert str(tmp_path / "a" / "no" / "such.yaml") in str(raised.value)
    assert str(tmp_path / "b" / "no" / "such.yaml") in str(raised.value)


@pytest.mark.parametrize("text", ["config_paths: a.yaml", "config_paths: [1]", "config_paths: {a: b}"])
def test_config_paths_must_be_a_list_of_strings(tmp_path: Path, text: str) -> None:
    write(tmp_path, a=text)
    with pytest.raises(
        MalformedConfigPathsError, match=r"a\.yaml: config_paths must be a list .*Write config_paths"
    ):
        read_sources(["a.yaml"], [tmp_path])


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2", r"a\.yaml:2:2: .*expected ',' or '\]'"),
        ("a: 1\na: 2", r"a\.yaml:2:1: found duplicate key"),
        ("a: !!python/object:os.system x", r"a\.yaml:1:4: could not determine a constructor"),
        ("a: &a {b: *a}", r"a\.yaml:1:4: .*recursive"),
        ("- 1", "expected a mapping at the top, got a list"),
        ("5", "not a mapping"),
        ("a: \x00", "unacceptable character"),
        (BOMB, r"a\.yaml: its aliases' expansion exceeds 100,000 values"),
        ("a: " + "[" * 500 + "]" * 500, "nested too deeply"),
        ("a: " + "9" * 5000, r"a\.yaml: Exceeds the limit"),
        ("a: " + "${" * 40 + "b" + "}" * 40, r"a\.yaml: interpolations inside one another more than 16 deep"),
        ('a: "' + r"\x24{" * 20 + "b" + "}" * 20 + '"', r"a\.yaml: interpolations inside one another more"),
        ("a: " + "${b}" * 6000, r"a\.yaml: more than 5,000 interpolations"),
    ],
    ids=[
        *("syntax", "duplicate", "object", "recursive", "list", "number", "nul", "bomb", "deep"),
        *("digits", "nested interpolations", "escaped interpolations", "many interpolations"),
    ],
)
def test_a_file_that_can_not_be_used_is_refused_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    write(tmp_path, a=text)
    with pytest.raises(ConfigError, match=message):
        read_yaml(tmp_path / "a.yaml")


def test_a_file_that_is_not_text_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match=r"a\.yaml: "):
        read_yaml(path)
    path.write_bytes(b"#" * (5 << 20))
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="can't be read"):
        read_yaml(tmp_path / "none.yaml")


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, a="# nothing\n")
    assert read_yaml(tmp_path / "a.yaml") == {}


def test_a_clash_between_files_names_the_file(tmp_path: Path) -> None:
    write(tmp_path, a="x: [1]", b="x: {y: 1}")
    with pytest.raises(ConfigError, match=r"b\.yaml: .*x: a list in one place, a mapping in another"):
        read_sources(["a.yaml", "b.yaml"], [tmp_path])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1\n", r"wrong\.yaml:2:1: a tab; YAML is indented with spaces$"),
        ("just a line\n", r"wrong\.yaml: expected a mapping at the top \(key: value\), got a line of text$"),
    ],
)
def test_a_tab_and_a_text_are_called_what_they_are(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, wrong=text)
    with pytest.raises(ConfigError, match=message):
        read_yaml(tmp_path / "wrong.yaml")


def test_a_missing_file_is_one_line_with_the_nearest_or_the_folder_of_that_name(tmp_path: Path) -> None:
    write(tmp_path, weather="x: 1")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigPathNotFoundError, match=r"Did you mean 'weather\.yaml'\?$") as raised:
        read_sources(["wether.yaml"], [tmp_path])
    assert "\n" not in str(raised.value)
    with pytest.raises(ConfigPathNotFoundError, match=r"folder \(.*/folder is a folder\)"):
        read_sources(["folder"], [tmp_path])
