"""A page of text, tables and charts, written as one HTML file and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from nemo_gym.siblings.data_designer.files import whole_file
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.safe_text import printable


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    """The places of columns with numbers, which are aligned at the right."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: the name of its file, its SVG, and what it shows."""

    name: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Links:
    """Files beside the page, each with its path from there."""

    items: Sequence[tuple[str, str]]


Block = Heading | Paragraph | Bullets | Table | Chart | Links


@dataclass(slots=True)
class Page:
    """A page. The text of every block is plain; it is escaped for each format."""

    title: str
    subtitle: str = ""
    figures: Sequence[tuple[str, str]] = ()
    """Numbers at the top: each with its meaning."""
    blocks: list[Block] = field(default_factory=list[Block])

    def html(self) -> str:
        """The page as one HTML document."""
        tiles = "".join(
            f"<div class='tile'><b>{_html(number)}</b><span>{_html(meaning)}</span></div>"
            for number, meaning in self.figures
        )
        body = "\n".join(_html_block(block) for block in self.blocks)
        return (
            "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width, initial-scale=1'>"
            f"<title>{_html(self.title)}</title><style>{_STYLE}</style></head>\n<body><main>\n"
            f"<h1>{_html(self.title)}</h1>\n<p class='subtitle'>{_html(self.subtitle)}</p>\n"
            f"<div class='tiles'>{tiles}</div>\n{body}\n</main></body></html>\n"
        )

    def markdown(self) -> str:
        """The page as Markdown, with charts as links to their files."""
        parts = [f"# {_markdown(self.title)}", _markdown(self.subtitle)]
        if self.figures:
            parts.append("\n".join(f"- **{_markdown(one)}** {_markdown(two)}" for one, two in self.figures))
        parts += [_markdown_block(block) for block in self.blocks]
        return "\n\n".join(part for part in parts if part) + "\n"


def short(text: str, most: int = 160) -> str:
    """The text on one line, or the beginning of it."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def write_page(page: Page, folder: Path) -> None:
    """Write `report.html`, `report.md` and the charts of the latter to a folder.

    Raises:
        UsageError: the folder or a file can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} can't be written: {error.strerror}") from None
    charts = {f"{one.name}.svg": one.svg for one in page.blocks if isinstance(one, Chart)}
    for name, text in {"report.html": page.html(), "report.md": page.markdown(), **charts}.items():
        with whole_file(folder / name) as file:
            file.write(without_secrets(text).encode("utf-8", "replace"))


def _html_block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{_html(text)}</h2>"
        case Paragraph(text):
            return f"<p>{_html(text)}</p>"
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{_html(item)}</li>' for item in items)}</ul>"
        case Links(items):
            links = (f"<li><a href='{_html(path)}'>{_html(text)}</a></li>" for text, path in items)
            return f"<ul>{''.join(links)}</ul>"
        case Chart(_, svg, caption):
            return f"<figure>{svg}<figcaption>{_html(caption)}</figcaption></figure>"
        case Table(columns, rows, numbers):
            head = "".join(
                f"<th{_aligned(place, numbers)}>{_html(name)}</th>" for place, name in enumerate(columns)
            )
            body = "".join(
                "<tr>"
                + "".join(
                    f"<td{_aligned(place, numbers)}>{_html(cell)}</td>" for place, cell in enumerate(row)
                )
                + "</tr>"
                for row in rows
            )
            return (
                f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
            )


def _markdown_block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_markdown(text)}"
        case Paragraph(text):
            return _markdown(text)
        case Bullets(items):
            return "\n".join(f"- {_markdown(item)}" for item in items)
        case Links(items):
            return "\n".join(f"- [{_markdown(text)}]({path})" for text, path in items)
        case Chart(name, _, caption):
            return f"![{_markdown(caption)}]({name}.svg)"
        case Table(columns, rows, numbers):
            marks = ["---:" if place in numbers else "---" for place in range(len(columns))]
            return "\n".join(
                f"| {' | '.join(cells)} |"
                for cells in (
                    [_markdown(name) for name in columns],
                    marks,
                    *([_markdown(cell) for cell in row] for row in rows),
                )
            )


def _aligned(place: int, numbers: frozenset[int]) -> str:
    return " class='number'" if place in numbers else ""


def _html(text: str) -> str:
    return escape(printable(text), quote=True)


def _markdown(text: str) -> str:
    """Text without a meaning in Markdown or HTML, on one line."""
    return "".join(f"\\{sign}" if sign in _MARKS else sign for sign in " ".join(printable(text).split()))


_MARKS: Final = "\\`*_[]<>|#~$"
_STYLE: Final = """
:root{color-scheme:light}
body{margin:0;background:#f5f7fa;color:#1f2933;font:15px/1.55 system-ui,-apple-system,"Segoe UI",
Roboto,sans-serif}
main{max-width:860px;margin:32px auto;padding:36px 48px 48px;background:#fff;border:1px solid #e4e7eb;
border-radius:10px}
h1{margin:0 0 4px;font-size:27px;line-height:1.25}
h2{margin:38px 0 8px;font-size:19px;border-top:1px solid #e4e7eb;padding-top:22px}
p{margin:8px 0}
.subtitle{color:#616e7c;margin:0 0 20px}
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin-bottom:18px}
.tile{flex:1 1 120px;padding:12px 14px;background:#f5f7fa;border-radius:8px}
.tile b{display:block;font-size:20px;line-height:1.35;white-space:nowrap}
.tile span{color:#616e7c;font-size:13px}
figure{margin:14px 0 10px}
figure svg{display:block;width:100%;height:auto}
figcaption{color:#616e7c;font-size:13px;margin-top:6px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;margin:10px 0}
th,td{text-align:left;vertical-align:top;padding:6px 10px;border-bottom:1px solid #e4e7eb;
overflow-wrap:anywhere}
th{color:#616e7c;font-weight:600;font-size:13px}
th{white-space:nowrap}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
a{color:#0072b2}
ul{padding-left:20px;margin:8px 0}
@media(max-width:700px){main{margin:0;padding:20px;border:0}}
@media print{body{background:#fff}main{border:0;margin:0 auto}h2,figure,tr{break-inside:avoid}}
"""
