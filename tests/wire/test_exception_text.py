"""Where an exception of an author's code came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nemo_gym.wire.exception_text import origin, short_traceback


def caught(function: Callable[[], Any]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def broken() -> Any:
    return json.loads("{")


def deep(left: int) -> int:
    return deep(left - 1) if left else 1 // 0


def test_the_author_s_line_is_named_and_not_the_library_s() -> None:
    line = broken.__code__.co_firstlineno + 1
    assert origin(caught(broken)) == f" ({__file__}:{line})"


def test_a_traceback_is_a_few_lines_from_the_author_s_first_call_to_the_error() -> None:
    lines = short_traceback(caught(broken)).splitlines()
    assert lines[0].startswith(f"{__file__}:")
    assert " in broken: return json.loads(" in "\n".join(lines)
    assert lines[-1].startswith("JSONDecodeError: ")
    assert len(lines) <= 6


def test_recursion_and_long_messages_stay_short() -> None:
    text = short_traceback(caught(lambda: deep(500)))
    assert len(text.splitlines()) == 6
    assert origin(caught(lambda: deep(500))).endswith(f":{deep.__code__.co_firstlineno + 1})")

    def shout() -> None:
        raise ValueError("x" * 100_000)

    assert len(short_traceback(caught(shout))) < 2_000


def test_an_exception_that_was_never_raised_has_no_origin() -> None:
    assert origin(ValueError("x")) == ""
    assert short_traceback(ValueError("x")) == "ValueError: x"
