"""The bugs and the tests of the parsers."""

from __future__ import annotations

import random
from typing import Final

from nemo_gym.environments.repository_tests import CallTest
from nemo_gym.library.coding.swe_mini.catalogue import Bug, Kind, Module, Recorder
from nemo_gym.library.coding.swe_mini.repositories import parsers
from nemo_gym.library.coding.swe_mini.repositories.parsers import expressions, records, scanner, settings
from nemo_gym.library.coding.swe_mini.repositories.parsers.expressions import Evaluator

KEYS: Final = ("host", "port", "user", "path", "mode", "size")


def close_tokens(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(scanner.scan, f"{rng.randint(10, 99)}*({rng.choice(KEYS)}+{rng.randint(1, 9)})")


def last_token(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(scanner.scan, f"{rng.choice(KEYS)} - {rng.randint(10, 99)}")


def unknown_character(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(scanner.scan, f"{rng.randint(1, 9)} {rng.choice('$%&?')} {rng.randint(1, 9)}")


def crossed_brackets(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(scanner.balanced, f"{rng.choice(KEYS)}([{rng.randint(1, 9)})]")


def open_bracket(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(scanner.balanced, f"[{rng.choice(KEYS)}]({rng.randint(1, 9)}")


def lone_bracket(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(scanner.balanced, f"{rng.choice(KEYS)}{rng.choice(')]}')}")


def good_brackets(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(scanner.balanced, f"({rng.choice(KEYS)}[{rng.randint(1, 9)}], {{}})")


def evaluate(recorder: Recorder, text: str, names: dict[str, int] | None = None) -> CallTest:
    evaluator = recorder.new("evaluator", Evaluator, names or {})
    return recorder.check(evaluator.value_of, text)


def mixed_sum(rng: random.Random, recorder: Recorder) -> CallTest:
    a, b, c = (rng.randint(2, 9) for _ in range(3))
    return evaluate(recorder, f"{a} + {b} * {c}")


def long_difference(rng: random.Random, recorder: Recorder) -> CallTest:
    a, b, c = rng.randint(50, 99), rng.randint(2, 20), rng.randint(2, 20)
    return evaluate(recorder, f"{a} - {b} - {c}")


def rounding(rng: random.Random, recorder: Recorder) -> CallTest:
    divisor = rng.randint(3, 9)
    return evaluate(recorder, f"{divisor * rng.randint(2, 9) + rng.randint(1, divisor - 1)} / {divisor}")


def with_names(rng: random.Random, recorder: Recorder) -> CallTest:
    key = rng.choice(KEYS)
    return evaluate(recorder, f"({key} + {rng.randint(1, 9)}) * 3", {key: rng.randint(10, 50)})


def negative(rng: random.Random, recorder: Recorder) -> CallTest:
    return evaluate(recorder, f"-{rng.randint(2, 9)} + {rng.randint(20, 40)}")


def too_long(rng: random.Random, recorder: Recorder) -> CallTest:
    return evaluate(recorder, f"({rng.randint(1, 9)} + 1) {rng.randint(1, 9)}")


def missing_bracket(rng: random.Random, recorder: Recorder) -> CallTest:
    return evaluate(recorder, f"2 * ({rng.randint(1, 9)} + {rng.randint(1, 9)}")


def some_settings(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other = rng.sample(KEYS, 2)
    text = f"[{one}]\n{other} = {rng.randint(1, 9)}\n\n# {one}\n[ {other} ]\n{one} = {rng.randint(1, 9)}\n"
    return recorder.check(settings.parse_settings, text)


def repeated_section(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other = rng.sample(KEYS, 2)
    text = f"[main]\n{one} = {rng.randint(1, 9)}\n[rest]\n[main]\n{other} = {rng.randint(1, 9)}\n"
    return recorder.check(settings.parse_settings, text)


def equals_in_value(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(settings.parse_settings, f"{rng.choice(KEYS)} = a={rng.randint(1, 99)}")


def comments(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other = rng.sample(KEYS, 2)
    return recorder.check(settings.parse_settings, f"# {one} = 1\n{other} = {rng.randint(1, 99)}\n")


def switch(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(settings.read_switch, rng.choice(("YES", "True", "On", "NO", "False", "OFF")))


def capital_switch(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(settings.read_switch, rng.choice(("YES", "Yes", "True", "TRUE", "On", "ON")))


def no_switch(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(settings.read_switch, rng.choice(("maybe", "2", "", "y")) + rng.choice(KEYS))


def both_settings(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other = rng.sample(KEYS, 2)
    return recorder.check(settings.overlay, {one: "a", other: "b"}, {one: str(rng.randint(1, 99))})


def settings_stay(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other = rng.sample(KEYS, 2)
    base = recorder.new("base", dict[str, str], {one: "a"})
    recorder.do(settings.overlay, base, {other: str(rng.randint(1, 99))})
    return recorder.check(dict, base)


def plain_fields(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(records.split_fields, ",".join(rng.sample(KEYS, 3)) + ",")


def quoted_fields(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other, third = rng.sample(KEYS, 3)
    return recorder.check(records.split_fields, f'{one},"{other}, {third}",{rng.randint(1, 9)}')


def doubled_quotes(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other = rng.sample(KEYS, 2)
    return recorder.check(records.split_fields, f'{one},"a ""{other}"" b"')


def other_mark(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(records.split_fields, ";".join(rng.sample(KEYS, 3)), ";")


def joined(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other = rng.sample(KEYS, 2)
    return recorder.check(records.join_fields, [one, f"{other}, {rng.randint(1, 9)}"])


def joined_quotes(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other = rng.sample(KEYS, 2)
    return recorder.check(records.join_fields, [one, f'the "{other}"'])


def some_records(rng: random.Random, recorder: Recorder) -> CallTest:
    one, other = rng.sample(KEYS, 2)
    lines = [f"{one},{other}", "", f"{rng.randint(1, 9)},a", f"{rng.randint(1, 9)},b"]
    return recorder.check(records.read_records, "\n".join(lines))


KIND: Final = Kind(
    parsers,
    ("parsers", "reading", "syntax", "readers"),
    (
        Module(
            scanner,
            (close_tokens, last_token, good_brackets, crossed_brackets),
            (
                Bug(
                    'in text + " ":',
                    "in text:",
                    "The last number of an expression is ignored.",
                    "scan",
                    last_token,
                ),
                Bug(
                    '            tokens.append(word)\n            word = ""\n',
                    "            tokens.append(word)\n",
                    "Numbers of an expression run together.",
                    "scan",
                    close_tokens,
                ),
                Bug(
                    "elif not character.isspace():",
                    "elif character in '\"#':",
                    "A character that an expression can't have is ignored instead of being refused.",
                    "scan",
                    unknown_character,
                ),
                Bug(
                    "waiting.pop() != partners[character]",
                    "not waiting.pop()",
                    "Brackets of different kinds count as partners.",
                    "balanced",
                    crossed_brackets,
                ),
                Bug(
                    "return not waiting",
                    "return True",
                    "A bracket that is never closed goes unnoticed.",
                    "balanced",
                    open_bracket,
                ),
                Bug(
                    "not waiting or waiting.pop()",
                    "waiting and waiting.pop()",
                    "A closing bracket without an opening one goes unnoticed.",
                    "balanced",
                    lone_bracket,
                ),
            ),
        ),
        Module(
            expressions,
            (mixed_sum, long_difference, rounding, with_names, too_long),
            (
                Bug(
                    "value -= self._product()",
                    "value -= self._sum()",
                    "A difference of three numbers is wrong.",
                    "_sum",
                    long_difference,
                ),
                Bug(
                    "value += self._product()",
                    "value += self._single()",
                    "An expression with a sum and a product is refused or wrong.",
                    "_sum",
                    mixed_sum,
                ),
                Bug(
                    "value //= self._single()",
                    "value = -(-value // self._single())",
                    "A division rounds up.",
                    "_product",
                    rounding,
                ),
                Bug(
                    "return self._names[token]",
                    "return len(token)",
                    "A name in an expression has a wrong value.",
                    "_single",
                    with_names,
                ),
                Bug(
                    "return -self._single()",
                    "return self._single()",
                    "A negative number counts as a positive one.",
                    "_single",
                    negative,
                ),
                Bug(
                    "        if self._tokens:\n            raise ValueError(f",
                    "        if len(self._tokens) > 1:\n            raise ValueError(f",
                    "A number behind the end of an expression goes unnoticed.",
                    "value_of",
                    too_long,
                ),
                Bug(
                    'if not self._tokens or self._tokens.pop(0) != ")":',
                    'if self._tokens and self._tokens.pop(0) != ")":',
                    "An expression without its last bracket is accepted.",
                    "_single",
                    missing_bracket,
                ),
            ),
            needs=("scanner",),
        ),
        Module(
            settings,
            (some_settings, repeated_section, switch, both_settings),
            (
                Bug(
                    "sections.setdefault(current, {})\n",
                    "sections[current] = {}\n",
                    "When a section occurs twice, the settings of its first part are lost.",
                    "parse_settings",
                    repeated_section,
                ),
                Bug(
                    'line.partition("=")',
                    'line.rpartition("=")',
                    "A value with an equals sign in it is read wrongly.",
                    "parse_settings",
                    equals_in_value,
                ),
                Bug(
                    'if not line or line.startswith("#"):',
                    "if not line:",
                    "Comments are read as settings.",
                    "parse_settings",
                    comments,
                ),
                Bug(
                    "line[1:-1].strip()",
                    "line[1:-1]",
                    "A section with spaces inside its brackets can't be found by its name.",
                    "parse_settings",
                    some_settings,
                ),
                Bug(
                    'text.lower() in ("yes"',
                    'text in ("yes"',
                    "A switch in capital letters is refused.",
                    "read_switch",
                    capital_switch,
                ),
                Bug(
                    '    raise ValueError(f"no switch: {text}")',
                    "    return bool(text)",
                    "A text that is no switch is taken as one.",
                    "read_switch",
                    no_switch,
                ),
                Bug(
                    "{**base, **other}",
                    "{**other, **base}",
                    "Settings of the user do not replace the default ones.",
                    "overlay",
                    both_settings,
                ),
                Bug(
                    "return {**base, **other}",
                    "base.update(other)\n    return base",
                    "The default settings change when those of a user are put over them.",
                    "overlay",
                    settings_stay,
                ),
            ),
        ),
        Module(
            records,
            (plain_fields, quoted_fields, other_mark, joined, some_records),
            (
                Bug(
                    "elif character == mark and not quoted:",
                    "elif character == mark:",
                    "A comma between quotes divides its field.",
                    "split_fields",
                    quoted_fields,
                ),
                Bug(
                    "            field += '\"'\n            position += 1\n",
                    "            field += '\"'\n",
                    "Two quotes inside a field are read wrongly.",
                    "split_fields",
                    doubled_quotes,
                ),
                Bug(
                    "return [*fields, field]",
                    "return [*fields, field] if field else fields",
                    "An empty field at the end of a line is lost.",
                    "split_fields",
                    plain_fields,
                ),
                Bug(
                    "elif character == mark and",
                    'elif character == "," and',
                    "Lines with another mark than a comma are not divided.",
                    "split_fields",
                    other_mark,
                ),
                Bug(
                    "if mark in field or '\"' in field:",
                    "if '\"' in field:",
                    "A field with a comma in it comes back as two fields.",
                    "join_fields",
                    joined,
                ),
                Bug(
                    "field.replace('\"', '\"\"')",
                    "field",
                    "A field with quotes in it loses them when it is written and read again.",
                    "join_fields",
                    joined_quotes,
                ),
                Bug(
                    "for line in lines[1:]]",
                    "for line in lines]",
                    "The first record holds the names of the fields.",
                    "read_records",
                    some_records,
                ),
                Bug(
                    " if line.strip()]",
                    "]",
                    "An empty line gives a record.",
                    "read_records",
                    some_records,
                ),
            ),
        ),
    ),
    {
        "Evaluator": ("Calculator", "Interpreter"),
        "scan": ("tokenize", "tokens_of", "lex"),
        "balanced": ("brackets_match", "well_nested"),
        "parse_settings": ("read_settings", "load_settings"),
        "overlay": ("merge_settings", "combine"),
        "split_fields": ("fields_of", "cut_line"),
        "evaluator": ("calculator", "machine"),
    },
)
