from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import KEYS, trees

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.overrides import Override, apply_override, exists, parse_override
from nemo_gym.wire.errors import UsageError

TREE: dict[str, Any] = {"a": {"b": 1, "l": [{"x": 1}, 2]}, "s": "text", "m": "???", "i": "${copy:a}"}


@pytest.mark.parametrize(
    ("word", "override"),
    [
        ("a.b=2", Override("set", ("a", "b"), 2)),
        ("+a.c=[x]", Override("add", ("a", "c"), ["x"])),
        ("++a=", Override("add", ("a",), "")),
        ("~a.b", Override("delete", ("a", "b"))),
        ("url=http://h/?k=v", Override("set", ("url",), "http://h/?k=v")),
    ],
)
def test_a_word_is_a_change(word: str, override: Override) -> None:
    assert parse_override(word) == override


@pytest.mark.parametrize("word", ["a", "=1", "+", "++=1", "~a=1", "a..b=1", "a b=1", "", "~", "+++a=1"])
def test_what_is_not_a_change_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="expected key=value"):
        parse_override(word)


def test_a_value_that_can_not_be_read_is_not_repeated_in_the_message() -> None:
    with pytest.raises(UsageError, match=r"^policy_api_key: ' is not closed$"):
        parse_override("policy_api_key='secret")


@pytest.mark.parametrize(
    ("word", "tree"),
    [
        ("a.b=2", {"a": {"b": 2}}),
        ("+a={c: 3}", {"a": {"b": 1, "c": 3}}),
        ("++n.e.w=1", {"n": {"e": {"w": 1}}}),
        ("+m.x=1", {"m": {"x": 1}}),
        ("a.l.0.x=5", {"a": {"l": [{"x": 5}, 2]}}),
        ("a.l=[]", {"a": {"l": []}}),
        ("+i.x=1", {"i": {"_copy": "a", "x": 1}}),
    ],
)
def test_a_change_sets_one_place(word: str, tree: dict[str, Any]) -> None:
    changed = apply_override(TREE, parse_override(word))
    for key, value in tree.items():
        assert changed[key] == {**TREE[key], **value} if isinstance(TREE.get(key), dict) else value


def test_deleting_takes_one_key_away() -> None:
    assert apply_override({"a": {"b": 1, "c": 2}}, parse_override("~a.b")) == {"a": {"c": 2}}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("~a.z", "~a.z: there is no such key"),
        ("+s.x=1", "s.x: a str is on the way"),
        ("+a.l.9=1", "'9' is not the index of one of the list's 2 elements"),
    ],
)
def test_a_place_that_can_not_be_is_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_override(TREE, parse_override(word))


@given(trees(), st.lists(KEYS, min_size=1, max_size=3), st.integers())
def test_what_was_added_is_there_and_can_be_deleted(
    tree: dict[str, Any], path: list[str], value: int
) -> None:
    try:
        changed = apply_override(tree, Override("add", tuple(path), value))
    except ConfigError:
        assert any(not isinstance(node, dict) for node in [tree.get(path[0]), *on_the_way(tree, path)])
        return
    assert exists(tuple(path), [changed])
    assert not exists(tuple(path), [apply_override(changed, Override("delete", tuple(path)))])


def on_the_way(tree: dict[str, Any], path: list[str]) -> list[Any]:
    nodes: list[Any] = []
    node: Any = tree
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
        nodes.append(node)
    return nodes
