"""Shapes: what they subtract, and which settings are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nemo_gym.environments.shaping import LongAnswer, MissingTag, read_shapes
from nemo_gym.wire.errors import UsageError, VerifierFault
from nemo_gym.wire.items import assistant
from nemo_gym.wire.response import Response


def response(text: str = "", tokens: int | None = None) -> Response:
    usage: Any = None if tokens is None else {"input_tokens": 1, "output_tokens": tokens, "total_tokens": 1}
    return Response.of([assistant(text)], usage=usage)


@pytest.mark.parametrize(
    ("tokens", "penalty"), [(0, 0.0), (512, 0.0), (768, 0.25), (1024, 0.5), (1 << 40, 0.5)]
)
def test_a_long_answer_loses_a_linear_part(tokens: int, penalty: float) -> None:
    (shape,) = read_shapes(["long:from=512,to=1024,penalty=0.5"])
    assert shape.judge(response(tokens=tokens)) == (penalty, f"{tokens} output tokens")


def test_tokens_are_never_guessed() -> None:
    with pytest.raises(VerifierFault, match="number of output tokens"):
        LongAnswer(0, 1, 1.0).judge(response("x" * 100))


@pytest.mark.parametrize(
    ("text", "penalty"),
    [
        ("<answer>4</answer>", 0.0),
        ("So <answer> 4 </answer>.", 0.0),
        ("<think>hm</think><answer>4</answer>", 0.0),
        ("", 0.1),
        ("4", 0.1),
        ("<answer>4", 0.1),
        ("</answer>4<answer>", 0.1),
        ("<answer> \n</answer>", 0.1),
        ("<think><answer>4</answer></think>4", 0.1),
        ("<Answer>4</Answer>", 0.1),
        ("<answer>" * 100_000, 0.1),
        ("\ud800\0<answer>\ud800</answer>", 0.0),
    ],
)
def test_a_tag_is_needed_around_some_text(text: str, penalty: float) -> None:
    assert MissingTag("answer", 0.1).judge(response(text))[0] == penalty


def test_texts_and_mappings_mean_the_same() -> None:
    mapping = {"type": "long", "from": 512, "to": 1024, "penalty": 0.5}
    expected = (LongAnswer(512, 1024, 0.5), MissingTag("answer", 0.1))
    assert read_shapes([mapping, {"type": "format", "tag": "answer", "penalty": 0.1}]) == expected
    texts = ["long:from=512,to=1024,penalty=0.5", "format: tag = answer, penalty = 0.1"]
    assert read_shapes(texts) == read_shapes(expected) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("lon:from=1,to=2,penalty=1", "no shape 'lon'. Did you mean 'long'"),
        ("", "no shape ''"),
        ("long", "missing required field `from`"),
        ("long:from=1,to=2,penalty=1,penalty=2", "a setting is there twice"),
        ("long:from=5,to=1,penalty=1", "`to` must be above `from`"),
        ("long:from=1,to=2,penalty=0", "penalty"),
        ("long:from=1,to=2,penalty=nan", "penalty"),
        ("long:from=1,to=2,penalty=-1", "penalty"),
        ("long:from=x,to=2,penalty=1", "from"),
        ("format:tag=<b>,penalty=1", "tag"),
        ("format:tag=a\n,penalty=1,size=2", "size"),
        ({"type": "format", "tag": "b", "penalty": math.inf}, "penalty"),
        ({}, "no shape ''"),
        (3, "expected for instance"),
    ],
)
def test_a_wrong_shape_is_one_clear_error(value: object, message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read_shapes([value])
    assert message in str(refusal.value)
