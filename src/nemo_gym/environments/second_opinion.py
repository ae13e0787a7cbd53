"""`MathVerify`: a second opinion of the package math-verify on answers that our own rules call unequal."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final, Literal, TypeAlias

import msgspec

from nemo_gym.environments.line_workers import LineWorkers, NoAnswer
from nemo_gym.environments.math_verify_worker import Opinion, Pair
from nemo_gym.wire.errors import EnvironmentFault, UsageError

SecondOpinion: TypeAlias = Literal["math_verify"] | None
"""The setting `second_opinion` of an environment."""
_SECONDS: Final = 4.0
_MEMORY_MIB: Final = 1024
_MOST: Final = 1000
"""The most characters of an answer that is compared."""


class MathVerify:
    """Compares answers in processes that end when a comparison takes 4 seconds or 1 GiB.

    Its methods block; call them from a `@blocking` hook.

    Raises:
        UsageError: the package is not installed.
    """

    def __init__(self) -> None:
        if find_spec("math_verify") is None:
            raise UsageError(
                "second_opinion needs the package math-verify: pip install 'nemo-gym[math-verify]'"
            )
        module = "nemo_gym.environments.math_verify_worker"
        self._workers = LineWorkers(module, [str(_MEMORY_MIB)], _line(Pair("1", "1")))

    def equal(self, answer: str, expected: str) -> bool | None:
        """Whether an answer is equal to the expected one; None without an opinion: it can't be read, is too
        long, or takes too much time or memory.

        Raises:
            EnvironmentFault: no process can be started.
        """
        if max(len(answer), len(expected)) > _MOST:
            return None
        try:
            line = self._workers.ask(_line(Pair(_latex(expected), _latex(answer))), _SECONDS)
        except NoAnswer:
            return None
        except OSError as error:
            raise EnvironmentFault(f"the process of math-verify can't be started: {error}") from None
        return msgspec.json.decode(line, type=Opinion).equal

    def close(self) -> None:
        """End the idle processes."""
        self._workers.close()


def _latex(text: str) -> str:
    """The text without dollar signs around it, and without surrogates, which no line can hold."""
    return text.encode("utf-8", "replace").decode().strip().strip("$").strip()


def _line(pair: Pair) -> bytes:
    return msgspec.json.encode(pair) + b"\n"
