"""Compares answers with the package math-verify, in a process of its own that `MathVerify` can kill.

Each line of the input is a `Pair`, and the answer is a line with an `Opinion`. Only LaTeX is read, because
the package reads plain expressions with a function that executes what it gets.
"""

from __future__ import annotations

import os
import resource
import sys
from importlib import import_module
from typing import Any

import msgspec


class Pair(msgspec.Struct):
    """The expected answer and the model's, as LaTeX without dollar signs."""

    expected: str
    answer: str


class Opinion(msgspec.Struct):
    """Whether two answers are equal; None where one of them can't be read."""

    equal: bool | None = None


def opinion(pair: Pair) -> Opinion:
    """The opinion of math-verify. Its own time limits are off, because the process has one."""
    math_verify: Any = import_module("math_verify")
    forms = [math_verify.LatexExtractionConfig()]
    try:
        expected, answer = (
            math_verify.parse(
                rf"\boxed{{{text}}}",
                extraction_config=forms,
                fallback_mode="no_fallback",
                parsing_timeout=None,
            )
            for text in (pair.expected, pair.answer)
        )
        if not expected or not answer:
            return Opinion()
        return Opinion(bool(math_verify.verify(expected, answer, timeout_seconds=None)))
    except Exception:
        return Opinion()


def main() -> None:
    """Answer pairs until the input ends. The argument is the memory limit in MiB."""
    most = int(sys.argv[1]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)  # What the package prints is no answer.
    decoder = msgspec.json.Decoder(Pair)
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(opinion(decoder.decode(line))) + b"\n")


if __name__ == "__main__":
    main()
