from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from trees import trees

from nemo_gym.config.errors import ConfigError, InheritPathNotFoundError
from nemo_gym.config.inheritance import apply_directives

BASE: dict[str, Any] = {"base": {"x": 1, "in": {"y": 2, "z": 3}}}


def test_inheriting_moves_and_copying_leaves_the_source() -> None:
    assert apply_directives({**BASE, "new": "${inherit_from:base}"}) == {"new": BASE["base"]}
    assert apply_directives({**BASE, "new": "${copy:base.in}"}) == {**BASE, "new": {"y": 2, "z": 3}}


def test_local_keys_win_over_inherited_ones_and_are_merged_in_depth() -> None:
    made = apply_directives({**BASE, "new": {"_inherit_from": "base", "in": {"y": 9}}})
    assert made == {"new": {"x": 1, "in": {"y": 9, "z": 3}}}


def test_several_users_of_one_source_all_get_it_whatever_the_order() -> None:
    made = apply_directives({"one": {"_inherit_from": "base", "x": 0}, **BASE, "two": "${inherit_from:base}"})
    assert made == {"one": {**BASE["base"], "x": 0}, "two": BASE["base"]}


def test_users_of_one_source_do_not_share_it() -> None:
    made = apply_directives({**BASE, "one": "${copy:base}", "two": "${copy:base}"})
    made["one"]["in"]["y"] = 0
    assert made["two"] == made["base"] == BASE["base"]


def test_a_source_may_have_directives_itself() -> None:
    assert apply_directives(
        {"c": {"_copy": "b", "k": 3}, "b": {"_copy": "a", "k": 2}, "a": {"k": 1, "n": 0}}
    ) == {
        "a": {"k": 1, "n": 0},
        "b": {"k": 2, "n": 0},
        "c": {"k": 3, "n": 0},
    }
    assert apply_directives({**BASE, "b": "${copy:base}", "c": "${copy:b.in.y}"})["c"] == 2


def test_only_a_part_of_an_instance_can_be_moved() -> None:
    assert apply_directives({**BASE, "new": "${inherit_from:base.in}"}) == {
        "base": {"x": 1},
        "new": {"y": 2, "z": 3},
    }


def test_a_source_that_is_still_to_be_given_makes_its_user_so() -> None:
    assert apply_directives({"a": "???", "b": {"_inherit_from": "a", "x": 1}}) == {"b": "???"}
    assert apply_directives({"a": "???", "b": {"_copy": "a.deep", "_delete_key": "x"}})["b"] == "???"


def test_keys_are_deleted_before_inheriting_if_present_else_after() -> None:
    made = apply_directives({**BASE, "new": {"_copy": "base", "_delete_key": "in, x", "x": 5}})
    assert made["new"] == {"x": 1}


def test_directives_work_inside_lists() -> None:
    assert apply_directives({**BASE, "l": ["${copy:base.x}", {"_copy": "base.in", "y": 0}]})["l"] == [
        1,
        {"y": 0, "z": 3},
    ]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"new": "${copy:bass}"}, r"new: copy 'bass': there is no 'bass'\. Did you mean 'base'\?"),
        ({"new": {"_inherit_from": "base.im.y"}}, r"there is no 'im' in base\. Known: in, x\."),
    ],
)
def test_an_unknown_path_is_named_with_the_nearest_key(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(InheritPathNotFoundError, match=message):
        apply_directives({**BASE, **tree})


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": "${copy:b}", "b": "${copy:a}"}, "a: copy leads to itself|b: copy leads to itself"),
        ({"a": {"in": {"_copy": "a"}}}, r"leads to itself: a -> a"),
        ({"a": {"_copy": "a.b"}}, "leads to itself"),
        ({"a": {"_delete_key": "q"}}, "_delete_key names 'q', which is not there"),
        ({"a": {"_copy": 3}}, "needs a path such as a.b.c"),
        ({"a": {"_delete_key": 3}}, "_delete_key needs keys"),
        ({"a": {"_copy": "n", "x": 1}, "n": 3}, "not a mapping, so nothing can be added"),
    ],
)
def test_a_directive_that_can_not_be_is_refused(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_directives(tree)


def test_copies_of_copies_can_not_grow_without_end() -> None:
    tree: dict[str, Any] = {
        f"k{n}": {"l": f"${{copy:k{n + 1}}}", "r": f"${{copy:k{n + 1}}}"} for n in range(40)
    }
    with pytest.raises(ConfigError, match="copy more than 50,000 mappings"):
        apply_directives({**tree, "k40": {}})


@given(trees())
def test_a_tree_without_directives_stays_as_it_is(tree: dict[str, Any]) -> None:
    assert apply_directives(tree) == tree
