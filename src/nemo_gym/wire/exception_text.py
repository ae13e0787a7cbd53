"""The text of an exception in an author's code, and the line that raised it."""

from __future__ import annotations

import asyncio
import site
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from traceback import FrameSummary
from typing import Any, Final, cast

from nemo_gym.wire.errors import chain


def is_fault(error: BaseException) -> bool:
    """Whether an exception is a mistake of the code that raised it, and not a request to end this task or
    this process. `sys.exit()` is a mistake, and so is a `CancelledError` without a cancellation."""
    if isinstance(error, asyncio.CancelledError):
        task = _running_task()
        return task is not None and not task.cancelling()
    if isinstance(error, GeneratorExit):
        return _running_task() is not None
    return not isinstance(error, KeyboardInterrupt)


def is_of_group(error: BaseException | None) -> bool:
    """Whether an exception is a group or comes from one."""
    return error is not None and any(isinstance(one, BaseExceptionGroup) for one in _chain(error))


def message_of(error: BaseException) -> str:
    """`Kind: text` of an exception, shortened; of a group also the first exception in it."""
    name, text, leaf = type(error).__name__, text_of(error), _first_of(error)
    if leaf is not error:
        text = f"{text}, the first is {type(leaf).__name__}: {text_of(leaf)}"
    return f"{name}: {text}" if text else name


def text_of(error: BaseException) -> str:
    """The text of an exception, shortened. The text of some classes can't be read."""
    try:
        text = str.__str__(str(error))
    except BaseException as problem:
        if not is_fault(problem):
            raise
        return f"(its text can't be shown: {type(problem).__name__})"
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}... ({len(text)} characters)"


def origin(error: BaseException) -> str:
    """` (FILE:LINE)` of the innermost call in the author's own code; empty without a traceback."""
    frames = _frames(error)
    if not frames:
        return ""
    own = [frame for frame in frames if _is_own(frame)]
    last = (own or frames)[-1]
    return f" ({last.filename}:{last.lineno})"


def short_traceback(error: BaseException) -> str:
    """The last calls before the exception, from the first one of the author on, and the exception itself."""
    frames = _frames(error)
    first = next((place for place, frame in enumerate(frames) if _is_own(frame)), 0)
    recent = frames[first:][-_MOST_CALLS:]
    lines = [f"{one.filename}:{one.lineno} in {one.name}: {(one.line or '')[:_MOST_LINE]}" for one in recent]
    lines.append(message_of(error)[:_MOST_MESSAGE])
    return "\n".join(lines)


def _frames(error: BaseException) -> list[FrameSummary]:
    """The calls before the first exception that has calls of the author: the first of a group, the exception
    itself, or one of its causes."""
    best: list[FrameSummary] = []
    for one in _chain(error):
        frames = list(traceback.extract_tb(one.__traceback__, limit=-_MOST_LOOKED_AT))
        if any(map(_is_own, frames)):
            return frames
        best = best or frames
    return best


def _chain(error: BaseException) -> Iterator[BaseException]:
    if (leaf := _first_of(error)) is not error:
        yield leaf
    yield from chain(error, lambda one: one.__cause__ or one.__context__)


def _first_of(error: BaseException) -> BaseException:
    """The first exception in a group, also in groups of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _running_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _is_own(frame: FrameSummary) -> bool:
    """Whether a call is in neither this package nor a library; curated environments count as an author's."""
    name = frame.filename
    if name.startswith(_BUILT_IN):
        return name.endswith("/environment.py")
    return not name.startswith(("<", _PACKAGE, *_LIBRARIES))


_PACKAGE: Final = f"{Path(__file__).resolve().parents[1]}/"
_BUILT_IN: Final = f"{_PACKAGE}library/"
_LIBRARIES: Final = tuple(
    {
        *(f"{path}/" for path in site.getsitepackages()),
        *(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib")),
    }
)
_MOST_CALLS: Final = 5
_MOST_LINE: Final = 160
_MOST_MESSAGE: Final = 500
_MOST_LOOKED_AT: Final = 50
_MOST_TEXT: Final = 2000
"""Characters of a message, which becomes part of a row, or of what a model reads."""
