from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_gym.config.errors import ConfigError, ConfigInterpolationError
from nemo_gym.config.expansion import check_expansion, check_size
from nemo_gym.config.interpolation import interpolate
from nemo_gym.config.resolve import resolve
from nemo_gym.config.sources import read_yaml

LEVELS = range(1, 60)


def doubled(form: str) -> dict[str, Any]:
    """Every level refers twice to the one below."""
    return {"x0": "lol", **{f"x{n}": form.replace("LOW", f"x{n - 1}") * 2 for n in LEVELS}}


BOMBS: dict[str, dict[str, Any]] = {
    "texts": doubled("${LOW}"),
    "selected": doubled("${oc.select:LOW}"),
    "defaults": doubled("${oc.select:nothing,${LOW}}"),
    "decoded": doubled("${oc.decode:${LOW}}"),
    "relative": {"m": doubled("${.LOW}")},
    "known keys": {
        **{f"k{n}": f"x{n}" for n in range(60)},
        "n": {"x0": "lol", **{f"x{n}": f"${{n.${{k{n - 1}}}}}" * 2 for n in LEVELS}},
    },
    "unknown keys": {"n": doubled("${n.${oc.env:NO_SUCH_VARIABLE,LOW}}")},
    "mappings": {"x0": {"a": 1}, **{f"x{n}": {"a": f"${{x{n - 1}}}", "b": f"${{x{n - 1}}}"} for n in LEVELS}},
    "lists": {"x0": [1], **{f"x{n}": [f"${{x{n - 1}}}"] * 10 for n in LEVELS}},
    "through a reference": {
        "x0": {"a": "lol"},
        **{f"y{n}": f"${{x{n}}}" for n in range(60)},
        **{f"x{n}": {"a": f"${{y{n - 1}.a}}${{y{n - 1}.a}}"} for n in LEVELS},
    },
}


@pytest.mark.parametrize("tree", BOMBS.values(), ids=BOMBS)
def test_references_that_multiply_are_refused_before_they_are_replaced(tree: dict[str, Any]) -> None:
    with pytest.raises(ConfigInterpolationError, match=r"^[\w.]+: its references multiply into more than"):
        interpolate(tree)


def test_variables_that_multiply_are_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONG", "x" * 100_000)
    tree = {"x0": "${oc.env:LONG}${oc.env:'LONG'}", **{f"x{n}": f"${{x{n - 1}}}" * 2 for n in range(1, 9)}}
    with pytest.raises(ConfigInterpolationError, match="multiply into more than"):
        interpolate(tree)
    assert interpolate({"a": "${oc.env:LONG}", "b": "${a}"})["b"] == "x" * 100_000


@pytest.mark.parametrize("number", ["0x" + "f" * 5000, "1" + ":59" * 5000, "9" * 5000])
def test_a_number_too_long_to_be_written_is_one_line(tmp_path: Path, number: str) -> None:
    (tmp_path / "long.yaml").write_text(f"a: {number}")
    with pytest.raises(ConfigError, match=r"long\.yaml: ") as raised:
        read_yaml(tmp_path / "long.yaml")
    assert "\n" not in str(raised.value)


def test_a_long_chain_of_references_is_refused() -> None:
    with pytest.raises(ConfigInterpolationError, match="references"):
        interpolate({"x0": "lol", **{f"x{n}": f"${{x{n - 1}}}" for n in range(1, 2000)}})


def test_ordinary_references_pass() -> None:
    tree = {
        "base": {"url": "http://h", "list": list(range(100))},
        "which": "base",
        **{
            f"server{n}": {"url": "${base.url}/v1", "all": "${base}", "it": "${oc.select:${which}}"}
            for n in range(50)
        },
        "again": "${server1}",
        "itself": "text ${oc.env:NO_SUCH_VARIABLE,x}",
    }
    check_expansion(tree)
    assert interpolate(tree)["again"]["it"]["url"] == "http://h"


def test_what_leads_to_itself_is_left_to_those_who_replace_it() -> None:
    check_expansion({"a": "${b}", "b": "${a}", "c": {"d": "${c}"}})


def test_deep_data_is_refused() -> None:
    value: Any = 1
    for _ in range(101):
        value = [value]
    with pytest.raises(ConfigError, match=r"^here: nested more than 100 deep"):
        check_size(value, "here")


def test_shared_data_counts_as_often_as_it_is_used() -> None:
    value: Any = [1] * 10
    for _ in range(8):
        value = [value] * 10
    with pytest.raises(ConfigError, match=r"^here: more than 200,000 values"):
        check_size(value, "here")


def test_a_configuration_with_such_references_is_one_line(tmp_path: Path) -> None:
    lines = ["x0: lollollol", *(f"x{n}: ${{x{n - 1}}}${{x{n - 1}}}" for n in LEVELS)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigInterpolationError) as raised:
        resolve([tmp_path / "bomb.yaml"], offline=True)
    assert "\n" not in str(raised.value)
