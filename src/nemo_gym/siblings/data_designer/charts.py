"""Charts as SVG, for a page that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import Final
from unicodedata import east_asian_width

from nemo_gym.wire.safe_text import printable

BLUE, ORANGE, GREY, GREEN, RED, SKY = "#0072b2", "#e69f00", "#c3c9d0", "#009e73", "#d55e00", "#56b4e9"
PALETTE: Final = (RED, ORANGE, "#cc79a7", SKY, "#8a8f98", "#f0e442")
"""Colours that readers with colour blindness can tell apart (Okabe and Ito)."""
_ROOM: Final = 20.0
"""The room of a label, in small Latin letters."""
_INK, _SOFT, _GRID = "#1f2933", "#616e7c", "#e4e7eb"
_WIDTH, _LEFT, _RIGHT = 760, 170, 140
_FONT: Final = "font-family='system-ui,-apple-system,Segoe UI,Roboto,sans-serif'"


@dataclass(frozen=True, slots=True)
class Share:
    """A row of `shares`: a share from 0 to 1, its interval, and a remark at its right."""

    label: str
    value: float
    interval: tuple[float, float] | None = None
    remark: str = ""
    colour: str = BLUE


def shares(rows: Sequence[Share], title: str) -> str:
    """Horizontal bars on a scale from 0 to 100%, with intervals."""
    step, top = 34, 8
    body = [_percent_grid(len(rows) * step, top)]
    for place, row in enumerate(rows):
        y = top + place * step
        body.append(_label(row.label, y + 19))
        body.append(_bar(_LEFT, y + 7, _x(row.value) - _LEFT, 18, row.colour))
        if row.interval is not None:
            low, high = (_x(end) for end in row.interval)
            for x1, y1, x2, y2 in ((low, 16, high, 16), (low, 11, low, 21), (high, 11, high, 21)):
                body.append(
                    f"<line x1='{x1:.1f}' y1='{y + y1}' x2='{x2:.1f}' y2='{y + y2}' stroke='{_INK}' "
                    "stroke-width='1.5'/>"
                )
        body.append(_text(_WIDTH - _RIGHT + 10, y + 20, row.remark or f"{row.value:.0%}", size=12))
    return _svg(body, top + len(rows) * step + 26, title)


def before_after(rows: Sequence[tuple[str, float, float]], title: str, names: tuple[str, str]) -> str:
    """Two bars for each label, of shares before and after."""
    step, top = 46, 34
    body = [_legend({names[0]: GREY, names[1]: ORANGE}), _percent_grid(len(rows) * step, top)]
    for place, (label, before, after) in enumerate(rows):
        y = top + place * step
        body.append(_label(label, y + 27))
        body.append(_bar(_LEFT, y + 7, _x(before) - _LEFT, 14, GREY))
        body.append(_bar(_LEFT, y + 23, _x(after) - _LEFT, 14, ORANGE))
        body.append(_text(_WIDTH - _RIGHT + 10, y + 27, f"{percent(before)} → {percent(after)}", size=12))
    return _svg(body, top + len(rows) * step + 26, title)


def histogram(rows: Sequence[tuple[str, int, str]], title: str, axis: str) -> str:
    """Columns with a count each: label, count and colour."""
    height, top, bottom = 150, 20, 42
    most = max((count for _, count, _ in rows), default=0) or 1
    slot = (_WIDTH - 40) / max(1, len(rows))
    body: list[str] = [
        f"<line x1='20' y1='{top + height}' x2='{_WIDTH - 20}' y2='{top + height}' stroke='{_SOFT}'/>"
    ]
    for place, (label, count, colour) in enumerate(rows):
        x, tall = 20 + place * slot + slot * 0.14, height * count / most
        body.append(_bar(x, top + height - tall, slot * 0.72, tall, colour))
        middle = x + slot * 0.36
        body.append(_text(middle, top + height - tall - 5, f"{count}", size=12, anchor="middle"))
        body.append(_text(middle, top + height + 16, label, size=12, anchor="middle", colour=_SOFT))
    body.append(_text(_WIDTH / 2, top + height + 36, axis, size=12, anchor="middle", colour=_SOFT))
    return _svg(body, top + height + bottom, title)


def stacked(rows: Sequence[tuple[str, Mapping[str, int]]], title: str) -> str:
    """A bar of parts for each label; the colours are the same in all of them."""
    kinds = list(dict.fromkeys(kind for _, parts in rows for kind in parts))
    colours = {kind: PALETTE[place % len(PALETTE)] for place, kind in enumerate(kinds)}
    step, top = 34, 34
    most = max((sum(parts.values()) for _, parts in rows), default=0) or 1
    body = [_legend(colours)]
    for place, (label, parts) in enumerate(rows):
        y, x = top + place * step, float(_LEFT)
        body.append(_label(label, y + 19))
        for kind, count in parts.items():
            wide = (_WIDTH - _LEFT - _RIGHT) * count / most
            body.append(_bar(x, y + 6, wide, 18, colours[kind]))
            if wide > 24:
                body.append(_text(x + wide / 2, y + 20, f"{count}", size=11, anchor="middle", colour="#fff"))
            x += wide
        body.append(_text(x + 8, y + 20, f"{sum(parts.values())}", size=12))
    return _svg(body, top + len(rows) * step + 8, title)


def lines(series: Mapping[str, Sequence[float | None]], labels: Sequence[str], title: str, axis: str) -> str:
    """A line for each name over the same labels, on a scale from 0 to 100%, the first in red; None is a
    gap."""
    colours = (RED, BLUE, GREEN, ORANGE, "#cc79a7", SKY)
    height, top, left, right = 190, 40, 48, 220
    across = (_WIDTH - left - right) / max(1, len(labels) - 1)
    body: list[str] = [_text(left, 20, axis, size=12, colour=_SOFT)]
    for part in range(0, 101, 25):
        y = top + height - height * part / 100
        body.append(
            f"<line x1='{left}' y1='{y:.1f}' x2='{_WIDTH - right}' y2='{y:.1f}' stroke='{_GRID}'/>"
            + _text(left - 8, y + 4, f"{part}%", size=11, anchor="end", colour=_SOFT)
        )
    for place, label in enumerate(labels):
        body.append(
            _text(left + place * across, top + height + 20, label, size=12, anchor="middle", colour=_SOFT)
        )
    ends: list[tuple[float, str, str]] = []
    for (name, values), colour in zip(series.items(), colours * len(series), strict=False):
        points = [
            (left + place * across, top + height - height * value)
            for place, value in enumerate(values)
            if value is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2.5'/>")
        body += [
            f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4.5' fill='{colour}' stroke='#fff' stroke-width='1.5'/>"
            for x, y in points
        ]
        last = next((value for value in reversed(values) if value is not None), None)
        if points and last is not None:
            ends.append((points[-1][1], f"{_short(name)} {last:.0%}", colour))
    body += [
        _text(_WIDTH - right + 14, y + 4, name, size=13, colour=colour, bold=True)
        for y, name, colour in _apart(ends, 17)
    ]
    return _svg(body, top + height + 32, title)


def _apart(ends: list[tuple[float, str, str]], gap: float) -> list[tuple[float, str, str]]:
    """The labels, moved down where they would overlap."""
    placed: list[tuple[float, str, str]] = []
    for y, name, colour in sorted(ends):
        placed.append((max(y, placed[-1][0] + gap) if placed else y, name, colour))
    return placed


def _x(share: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, share))


def _percent_grid(height: float, top: float) -> str:
    marks = (0, 25, 50, 75, 100)
    return "".join(
        f"<line x1='{_x(mark / 100):.1f}' y1='{top}' x2='{_x(mark / 100):.1f}' y2='{top + height + 4}' "
        f"stroke='{_GRID}'/>"
        + _text(_x(mark / 100), top + height + 20, f"{mark}%", size=11, anchor="middle", colour=_SOFT)
        for mark in marks
    )


def _legend(colours: Mapping[str, str]) -> str:
    x, parts = float(_LEFT), list[str]()
    for name, colour in colours.items():
        parts.append(_bar(x, 8, 12, 12, colour) + _text(x + 18, 18, name, size=12, colour=_SOFT))
        x += 36 + 6.6 * len(name)
    return "".join(parts)


def _label(text: str, y: float) -> str:
    return _text(_LEFT - 12, y, _short(text), size=13, anchor="end")


def _short(text: str) -> str:
    """The text, or as much of it as a label has room for."""
    text = " ".join(text.split())
    ends = list(accumulate(map(_wide, text)))
    if not ends or ends[-1] <= _ROOM:
        return text
    return f"{text[: sum(end < _ROOM for end in ends)]}…"


def _wide(sign: str) -> float:
    """About the width of a character, in small Latin letters."""
    return 1.9 if east_asian_width(sign) in "WF" else 1.35 if sign.isupper() else 1.0


def percent(share: float) -> str:
    """A share for people, also a very small one."""
    return f"{100 * share:.2g}%" if 0 < share < 0.01 else f"{share:.0%}"


def _bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(0.0, width):.1f}' height='{height:.1f}' rx='2' "
        f"fill='{colour}'/>"
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int,
    anchor: str = "start",
    colour: str = _INK,
    bold: bool = False,
) -> str:
    weight = " font-weight='600'" if bold else ""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{colour}'{weight}>"
        f"{escape(printable(text))}</text>"
    )


def _svg(body: Sequence[str], height: float, title: str) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height:.0f}' role='img' "
        f"aria-label='{escape(printable(title), quote=True)}' {_FONT}>{''.join(body)}</svg>"
    )
