"""YAML files that are no configuration of ours: within limits, with the place of a mistake in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.yaml_files import MAX_BYTES, read_mapping

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


def read(folder: Path, text: str | bytes) -> Any:
    path = folder / "a.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_mapping(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("# nothing\n", {}),
        ("\ufeffa: 1\r\nb: [x]\r\n", {"a": 1, "b": ["x"]}),
        ("a: ${b c} ${ ${} cost $${x}", {"a": "${b c} ${ ${} cost $${x}"}),
        (f"a: '{'${' * 40}'", {"a": "${" * 40}),
        ("a: 2024-01-31\nb: 2024-01-31", {"a": "2024-01-31", "b": "2024-01-31"}),
        ("a: &x {b: 1}\nc: {<<: *x, b: 2}\nd: [*x, *x]", {"a": {"b": 1}, "c": {"b": 2}, "d": [{"b": 1}] * 2}),
        ("1: a\n'1': b", {1: "a", "1": "b"}),
    ],
)
def test_a_mapping_is_read(tmp_path: Path, text: str, value: Any) -> None:
    assert read(tmp_path, text) == value


def test_a_key_that_replaces_a_merged_one_is_no_duplicate(tmp_path: Path) -> None:
    document = read(tmp_path, "a: {b: &m {<<: &x {c: 1}, c: 2}}\nd: {<<: *m, <<: *x, e: 3}")
    assert document["a"] == {"b": {"c": 2}}
    assert document["d"].keys() == {"c", "e"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1\nc: 2", r"a\.yaml:3:2: .*expected ',' or '\]'"),
        ("a: 1\nb: {c: 1, c: 2}", r"a\.yaml:2:11: found duplicate key 'c'"),
        ("1: 1\n1: 2", r"a\.yaml:2:1: found duplicate key '1'"),
        ('"a\\nb": 1\n"a\\nb": 2', r"a\.yaml:2:1: found duplicate key 'a\\nb'"),
        ("a:\n\tb: 1", r"a\.yaml:2:1: a tab; YAML is indented with spaces"),
        ("a: 1\n---\nb: 2", r"a\.yaml:2:1: but found another document"),
        ("a: !!python/object:os.system x", r"a\.yaml:1:4: could not determine a constructor"),
        ("a: &a {b: *a}", r"a\.yaml:1:4: a recursive alias"),
        ("a: *b", r"a\.yaml:1:4: found undefined alias"),
        (BOMB, r"a\.yaml: its aliases' expansion exceeds 100,000 values"),
        ("a: " + "[" * 500 + "]" * 500, r"a\.yaml: nested more than 100 deep"),
        ("a: " + "[" * 100_000, r"a\.yaml:1:\d+: exceeded maximum nesting depth"),
        ("- 1", r"a\.yaml: expected a mapping at the top, got a list"),
        ("[]", r"a\.yaml: expected a mapping at the top, got a list"),
        ("0", r"a\.yaml: expected a mapping at the top, got a int"),
        ("text", r"a\.yaml: expected a mapping at the top \(key: value\), got a line of text"),
        ("a: !!int ''", r"a\.yaml: a value does not fit its tag"),
        ("a: !!bool maybe", r"a\.yaml: a value does not fit its tag"),
        ("a: !!timestamp soon", r"a\.yaml: a value does not fit its tag"),
        ("a: " + "9" * 5000, r"a\.yaml: Exceeds the limit"),
        ("a: " + "0x" + "f" * 5000, r"a\.yaml: a whole number of more than 4,096 bits"),
        ("a: \x00", r"a\.yaml.*: "),
        (b"a: \xff", r"a\.yaml: 'utf-8' codec can't decode"),
        (b"#" * (MAX_BYTES + 1), r"a\.yaml: larger than 4 MiB"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_file_that_can_not_be_used_is_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{tmp_path}/{message}") as raised:
        read(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_a_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: can't be read \(No such file or directory\)"):
        read_mapping(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"can't be read \(Is a directory\)"):
        read_mapping(tmp_path)


def test_a_device_without_an_end_is_too_large() -> None:
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        read_mapping(Path("/dev/zero"))
