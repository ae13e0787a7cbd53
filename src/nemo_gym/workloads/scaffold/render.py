"""Fills in templates and writes files, for every form of `gym env init`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode

_TEMPLATES: Final = Path(__file__).parent / "templates"


def render(template: str, **words: object) -> str:
    """The text of a template, with a value for each `@word@`."""
    text = (_TEMPLATES / f"{template}.tmpl").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", str(value))
    return text


def lines(rows: Iterable[object]) -> str:
    """Rows as JSONL."""
    return "".join(encode(row).decode() + "\n" for row in rows)


def class_name(name: str) -> str:
    """`word_count` as `WordCount`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def write_files(name: str, folders: Iterable[Path], files: Mapping[Path, str]) -> list[Path]:
    """Write files into new folders, and return the paths in their order.

    Raises:
        UsageError: the name can't be that of a component, a folder exists already, or a file can't be
        written.
    """
    check_name(name)
    for folder in folders:
        if folder.exists() and any(path.is_relative_to(folder) for path in files):
            raise UsageError(f"{folder} is there already and is left as it is: choose another name")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename or name}: can't be written ({error.strerror})") from None
    return list(files)


def check_name(name: str) -> None:
    """Check the name of a new component.

    Raises:
        UsageError: the name is not an identifier; the message suggests another.
    """
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and not keyword.iskeyword(name):
        return
    identifier = _identifier(name)
    hint = f"; {identifier!r} would do" if identifier else ""
    raise UsageError(f"{name!r} can't be the name of an environment: use letters, digits and _{hint}")


def _identifier(name: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    word = f"env_{word}" if word[:1].isdigit() else word
    return f"{word}_env" if keyword.iskeyword(word) else word


def dataset(path: Path, root: Path, kind: str = "example", **more: Any) -> dict[str, Any]:
    """The declaration of a data set in a configuration."""
    return {"name": path.stem, "type": kind, "jsonl_fpath": path.relative_to(root).as_posix(), **more}
