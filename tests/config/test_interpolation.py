from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from omegaconf import OmegaConf
from trees import trees

from nemo_gym.config import interpolation
from nemo_gym.config.errors import ConfigInterpolationError, ConfigMissingValuesError
from nemo_gym.config.interpolation import interpolate, require_values
from nemo_gym.wire.masking import MASK, mask, without_secrets


def test_references_variables_and_defaults_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_URL", "http://h")
    tree = {
        "a": {"b": 1, "c": "${.b}"},
        "copy": "${a}",
        "text": "v${a.b}",
        "variable": "${oc.env:SOME_URL}/v1",
        "default": "${oc.env:NO_SUCH_VARIABLE,fallback}",
        "select": "${oc.select:nothing,7}",
        "list": ["${a.b}"],
    }
    assert interpolate(tree) == {
        "a": {"b": 1, "c": 1},
        "copy": {"b": 1, "c": 1},
        "text": "v1",
        "variable": "http://h/v1",
        "default": "fallback",
        "select": 7,
        "list": [1],
    }


def test_everything_that_can_not_be_resolved_is_said_at_once() -> None:
    with pytest.raises(ConfigInterpolationError) as raised:
        interpolate(
            {
                "judge_url": "x",
                "a": {"l": ["${juge_url}"]},
                "b": "${oc.env:NO_SUCH_VARIABLE}",
                "c": "${d}",
                "d": "${c}",
                "e": {"url": "${policy_base_url}"},
                "f": "${copy:a}!",
            }
        )
    text = str(raised.value)
    assert "a.l.0: ${juge_url}: " in text
    assert "Did you mean 'judge_url'? Give it with ++juge_url=<value> or in env.yaml" in text
    assert "NO_SUCH_VARIABLE" in text
    assert "c: ${d}: Recursive interpolation" in text
    assert "Give it with ++policy_base_url=<value>" in text
    assert raised.value.settings == ("model_url",)
    assert "f: ${copy:a}!" in text


def test_all_values_still_to_be_given_are_named_with_a_way_to_give_them() -> None:
    with pytest.raises(ConfigMissingValuesError) as raised:
        require_values({"a": "???", "b": {"c": ["x", "???"]}, "d": "given"})
    assert str(raised.value).splitlines() == [
        "2 values must be given, in a file, in env.yaml or on the command line:",
        "  a   (++a=<value>)",
        "  b.c.1   (++b.c.1=<value>)",
    ]


@given(trees())
def test_a_tree_without_interpolations_stays_as_it_is(tree: dict[str, Any]) -> None:
    require_values(tree)
    assert interpolate(tree) == tree


def test_what_an_environment_variable_held_is_masked_whatever_its_key_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_WORD", "kept-by-nobody")
    monkeypatch.setenv("SOME_PIN", "4711")
    which = {
        "which": "WORD",
        "text": "say ${oc.env:SOME_WORD}",
        "again": "${text}",
        "d": "${oc.env:SOME_${which}}",
    }
    tree = interpolate(
        {**which, "pin": "${oc.decode:${oc.env:SOME_PIN}}", "open": "${oc.env:NOTHING,default}"}
    )
    assert tree["again"] == "say kept-by-nobody"
    assert mask(tree) == {
        "which": "WORD",
        "text": f"say {MASK}",
        "again": f"say {MASK}",
        "d": MASK,
        "pin": MASK,
        "open": "default",
    }
    assert without_secrets("error: kept-by-nobody") == f"error: {MASK}"


def test_the_place_of_a_file_is_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    monkeypatch.setenv("GONE", str(tmp_path / "gone"))
    tree = interpolate({"folder": "${oc.env:DATA}", "gone": "${oc.env:GONE}"})
    assert mask(tree) == {"folder": str(tmp_path), "gone": MASK}


def test_where_a_user_works_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert mask(interpolate({"folder": "${oc.env:HOME}/data"})) == {"folder": "/home/somebody/data"}


def test_variables_are_watched_with_omegaconf_2_3_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """There `register_resolver` is an older function, which replaces nothing."""
    registered: dict[str, Any] = {}

    def register_new_resolver(name: str, resolver: Any, *, replace: bool = False) -> None:
        registered[name] = (resolver, replace)

    def register_resolver(name: str, resolver: Any) -> None:
        raise AssertionError("not this one")

    monkeypatch.setattr(OmegaConf, "register_resolver", register_resolver)
    monkeypatch.setattr(OmegaConf, "register_new_resolver", register_new_resolver)
    interpolation._watch_environment.__wrapped__()
    resolver, replaced = registered["oc.env"]
    assert replaced
    monkeypatch.setenv("A_TOKEN_OF_2_3", "hush-hush-2-3")
    assert resolver("A_TOKEN_OF_2_3") == "hush-hush-2-3"
    assert "hush-hush-2-3" not in without_secrets("the token is hush-hush-2-3")
