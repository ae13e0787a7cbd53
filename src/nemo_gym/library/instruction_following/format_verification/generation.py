"""Layouts for generated tasks, each with an answer that has it."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from nemo_gym.environments.instruction_tasks import TOPICS, WORDS

Form: TypeAlias = tuple[str, str, Callable[[random.Random], str]]
"""The words for a form of lines, its pattern, and a function that writes such a line."""


def layout(rng: random.Random, level: int) -> tuple[str, dict[str, Any], str]:
    """A prompt, the fields of its verifier, and an answer."""
    if rng.random() < 0.4:
        return _markers(rng, level)
    return _lines(rng, level)


def _markers(rng: random.Random, level: int) -> tuple[str, dict[str, Any], str]:
    before, after = rng.choice((("[", "]"), ("[^", "]"), ("(", ")"), ("{", "}"), ("<", ">"))[: 1 + level])
    numbers = rng.sample(range(2, 60), 1 + level)
    markers = [f"{before}{number}{after}" for number in numbers]
    topic = rng.choice(TOPICS)
    prompt = (
        f"Write a short text about {topic}. It cites the sources {', '.join(map(str, numbers))} and no "
        f"others, each with a marker: its number in the form {before}1{after}"
    )
    answer = " ".join(f"This is known about {topic} {marker}." for marker in markers)
    return prompt, {"type": "citation", "expected_markers": markers}, answer


def _lines(rng: random.Random, level: int) -> tuple[str, dict[str, Any], str]:
    forms = rng.sample(_FORMS, 1 + (level > 1) + (level > 3))
    count = rng.randint(1, 1 + 2 * level) if level else 1
    chosen = [form(rng) for form in forms]
    words = " Also write ".join(
        f"at least {count} line{'s' * (count > 1)} of the form {form[0]}." for form in chosen
    )
    prompt = f"The subject is {rng.choice(TOPICS)}. Write {words} Each such line has nothing else in it."
    answer = "\n".join(form[2](rng) for form in chosen for _ in range(count))
    return (
        prompt,
        {"type": "regex", "verify_regex": [form[1] for form in chosen], "verify_min_matches": count},
        answer,
    )


def _dated(rng: random.Random) -> Form:
    year = rng.randint(1900, 2030)
    return (
        f"{year}-MM-DD: text (a date of the year {year}, a colon and a text)",
        rf"^{year}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]): \S.*$",
        lambda rng: f"{year}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}: something was built",
    )


def _labelled(rng: random.Random) -> Form:
    label = rng.choice(WORDS).upper()
    return f"{label}: text", rf"^{label}: \S.*$", lambda rng: f"{label}: {rng.choice(WORDS)}"


def _numbered(rng: random.Random) -> Form:
    mark = rng.choice((")", ":", " -", " |", "/"))
    escaped = "".join(f"[{letter}]" for letter in mark)
    return (
        f"1{mark} text (any number, then the same mark, a blank and a text)",
        rf"^[0-9]+{escaped} \S.*$",
        lambda rng: f"{rng.randint(1, 9)}{mark} a part",
    )


def _coded(rng: random.Random) -> Form:
    letter, digits = rng.choice(string.ascii_uppercase), rng.randint(2, 5)
    return (
        f"{letter} and {digits} digits, such as {letter}{'7' * digits}",
        rf"^{letter}[0-9]{{{digits}}}$",
        lambda rng: letter + "".join(rng.choices(string.digits, k=digits)),
    )


def _table(rng: random.Random) -> Form:
    columns = rng.randint(2, 4)
    return (
        f"a row of a table with {columns} columns, such as {'| a ' * columns}|",
        rf"^([|] [^|]*[^| ] ){{{columns}}}[|]$",
        lambda _: f"{'| cell ' * columns}|",
    )


_FORMS: Final = (_dated, _labelled, _numbered, _coded, _table)
