"""Reads reward hacks: those of an environment's `redteam.jsonl`, and the general corpus of this package."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.jsonl import read_rows

T = TypeVar("T", bound=msgspec.Struct)


class Hack(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A line of `redteam.jsonl`: for this task, this output must earn no more than `expected`."""

    name: str
    family: str
    task: dict[str, Any]
    output: str | list[dict[str, Any]]
    """As in a golden case: the final text, or items, whose tool calls are run."""
    models: dict[str, str | list[str]] = {}
    """The answers of the models that the environment asks."""
    expected: Literal["zero", "full"] | float = "zero"
    """`zero` is the lower end of the reward range, `full` the upper end. An honest twin has `full`."""
    seconds: float | None = None
    """The most seconds of a hack that uses all the time that the environment grants to code."""


class Exemption(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A line of `redteam.jsonl`: a family of the general corpus does not apply, for this reason."""

    family: str
    not_applicable: str
    hacks: list[str] = []
    """The names of the lines that don't apply; empty for the whole family."""


class General(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A line of the general corpus, which is tried on the environment's own tasks and must not pay."""

    name: str
    family: str
    text: str = ""
    """May hold `{answer}` (the oracle's answer), `{open}` and `{close}` (the marks around it, such as
    `\\boxed{` and `}`), `{oracle}` (the oracle's whole text), `{other}` (the right answer of another task),
    `{prompt}` and `{bomb}`."""
    bomb: list[tuple[str, int]] = []
    """Texts, each with the number of its repetitions, which `{bomb}` stands for."""
    judge: str = ""
    """The answer of every model that the environment asks. Such a line is only for environments that ask."""
    actions: Literal["text", "spray", "late", "no_calls", "unknown", "none", "together"] = "text"
    """The tool calls around the text: those of the oracle, every tool with every value of the task, those
    of the oracle after the text, or no calls. The last three are for step environments alone: the text as
    every action, no action, or all of the oracle's actions at once."""


class HackFile(msgspec.Struct):
    """The contents of `redteam.jsonl`."""

    hacks: list[Hack] = []
    exemptions: dict[str, str] = {}
    """Reasons by family."""
    exempt_hacks: set[tuple[str, str]] = set()
    """The families and names of the lines of the corpus that do not apply."""

    def applies(self, hack: General) -> bool:
        """Whether a line of the corpus is tried."""
        return (hack.family, hack.name) not in self.exempt_hacks


def read_hacks(path: Path) -> HackFile:
    """The hacks and exemptions of a file; none if there is no such file.

    Raises:
        UsageError: a line has another form, or an unknown family is exempt.
    """
    file = HackFile()
    for number, row in read_rows(path) if path.exists() else ():
        where = f"{path}:{number}"
        if "not_applicable" not in row:
            file.hacks.append(_line(row, Hack, where))
            continue
        line = _line(row, Exemption, where)
        if line.family not in families():
            names = ", ".join(families())
            raise UsageError(
                f"{where}: family: no family {line.family!r} in the general corpus; it has {names}"
            )
        names = [hack.name for hack in corpus() if hack.family == line.family]
        for name in line.hacks:
            if name not in names:
                raise UsageError(f"{where}: hacks: the family has no {name!r}.{did_you_mean(name, names)}")
        file.exempt_hacks |= {(line.family, name) for name in line.hacks or names}
        file.exemptions[line.family] = line.not_applicable
    return file


@cache
def corpus() -> tuple[General, ...]:
    """The general corpus."""
    return tuple(_line(row, General, f"{CORPUS}:{number}") for number, row in read_rows(CORPUS))


def families() -> tuple[str, ...]:
    """The families of the general corpus, in its order."""
    return tuple(dict.fromkeys(hack.family for hack in corpus()))


def _line(row: Mapping[str, Any], kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {explain_misfit(error, kind)}") from None


CORPUS: Final = Path(__file__).with_name("corpus.jsonl")
