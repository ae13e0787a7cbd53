"""Where an exception of an author's code came from: the file and line that the author can mend."""

from __future__ import annotations

import site
import sysconfig
import traceback
from pathlib import Path
from traceback import FrameSummary
from typing import Final


def origin(error: BaseException) -> str:
    """` (FILE:LINE)` of the innermost call that is in the author's own code; empty when nothing is known."""
    frames = _frames(error)
    if not frames:
        return ""
    own = [frame for frame in frames if _is_own(frame)]
    last = (own or frames)[-1]
    return f" ({last.filename}:{last.lineno})"


def short_traceback(error: BaseException) -> str:
    """The last calls before the exception, from the author's first one on, and the exception itself."""
    frames = _frames(error)
    first = next((place for place, frame in enumerate(frames) if _is_own(frame)), 0)
    shown = frames[first:][-_MOST_CALLS:]
    lines = [f"{one.filename}:{one.lineno} in {one.name}: {(one.line or '')[:_MOST_LINE]}" for one in shown]
    lines.append(f"{type(error).__name__}: {error}"[:_MOST_MESSAGE])
    return "\n".join(lines)


def _frames(error: BaseException) -> list[FrameSummary]:
    """The calls on the way to the exception that was raised first."""
    return list(traceback.extract_tb(error.__traceback__, limit=-_MOST_LOOKED_AT))


def _is_own(frame: FrameSummary) -> bool:
    """Whether a call is in neither this package's machinery nor a library."""
    name = frame.filename
    if name.startswith(_BUILT_IN):
        return name.endswith("/environment.py")
    return not name.startswith(("<", _PACKAGE, *_LIBRARIES))


_PACKAGE: Final = f"{Path(__file__).resolve().parents[1]}/"
_BUILT_IN: Final = f"{_PACKAGE}environments/"
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
