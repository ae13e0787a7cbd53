from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from omegaconf import OmegaConf
from trees import trees

from nemo_gym.config.errors import ConfigError, ConfigInterpolationError
from nemo_gym.config.tree import get, leaves, merge, remove, to_tree, to_yaml


def test_mappings_are_merged_and_everything_else_is_replaced() -> None:
    base = {"a": {"x": 1, "l": [1, 2]}, "b": 1}
    assert merge(base, {"a": {"y": 2, "l": [3]}, "b": None}) == {"a": {"x": 1, "l": [3], "y": 2}, "b": None}


def test_a_value_to_be_given_does_not_replace_one_that_is() -> None:
    assert merge({"a": {"x": 1}}, {"a": "???"}) == {"a": {"x": 1}}
    assert merge({"a": "???"}, {"a": {"x": 1}}) == {"a": {"x": 1}}


def test_a_list_against_a_mapping_is_refused_with_its_path() -> None:
    with pytest.raises(ConfigError, match=r"a\.b: a list in one place, a mapping in another"):
        merge({"a": {"b": [1]}}, {"a": {"b": {"c": 1}}})


def test_a_malformed_interpolation_is_refused_with_its_path() -> None:
    with pytest.raises(ConfigInterpolationError, match=r"a\.b: can't be read"):
        merge({"x": 1}, {"a": {"b": "${oops"}})


@given(trees())
def test_merging_nothing_or_the_same_changes_nothing(tree: dict[str, Any]) -> None:
    assert merge(tree, {}) == merge({}, tree) == merge(tree, tree) == tree


@given(trees(), trees())
def test_every_value_of_the_later_tree_is_in_the_merged_one(
    base: dict[str, Any], over: dict[str, Any]
) -> None:
    assume(not lists_meet_mappings(base, over))
    merged = merge(base, over)
    assert all(get(merged, path) == value for path, value in leaves(over))


def lists_meet_mappings(base: Any, over: Any) -> bool:
    if isinstance(base, dict) and isinstance(over, dict):
        return any(lists_meet_mappings(base[key], over[key]) for key in base.keys() & over.keys())
    return {type(base), type(over)} == {list, dict}


def test_merging_leaves_its_arguments_as_they_were() -> None:
    base, over = {"a": {"x": 1}}, {"a": {"y": [1]}}
    merge(base, over)["a"]["y"].append(2)
    assert (base, over) == ({"a": {"x": 1}}, {"a": {"y": [1]}})


def test_an_omegaconf_mapping_keeps_its_interpolations_and_missing_values() -> None:
    config = OmegaConf.create({"a": "${b}", "b": "???"})
    assert to_tree(config) == {"a": "${b}", "b": "???"}  # type: ignore[arg-type]


def test_what_yaml_has_no_word_for_is_refused() -> None:
    with pytest.raises(ConfigError, match="can't be a configuration"):
        to_tree({"a": object()})


@given(trees())
def test_yaml_means_what_the_tree_does(tree: dict[str, Any]) -> None:
    assert yaml.safe_load(to_yaml(tree)) == tree


def test_list_elements_are_counted_and_removed_by_index() -> None:
    tree: dict[str, Any] = {"a": [{"b": 1}, {"b": 2}]}
    assert get(tree, ("a", "1", "b")) == 2
    remove(tree, ("a", "0"))
    remove(tree, ("a", "7"))
    assert tree == {"a": [{"b": 2}]}
