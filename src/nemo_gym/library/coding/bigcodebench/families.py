"""Own functions to write, each with a suite of unit tests: templates with values drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from string import Template
from typing import Any, Final

PROMPT: Final = """\
{task}
Raise a ValueError if {refusal}.
The function should be named `task_func` and start as follows:
```python
{head}
```
Reply with the whole program in one ```python block."""
WORDS: Final = (
    *("price", "weight", "height", "score", "count", "length", "width", "depth", "speed", "level", "amount"),
    *("volume", "energy", "rate", "share", "points", "cost", "total", "mass", "charge", "age", "distance"),
    *("rank", "demand", "supply", "profit", "output", "salary"),
)
_Values = dict[str, Any]


class Family:
    """A function with gaps (`$name`) in its texts.

    Args:
        task: what it does, in a sentence, and `refusal`: when it raises a ValueError.
        head: its imports and its head.
        body: a right body.
        test: the class `TestCases` with its imports.
        values: further values for the gaps, from those drawn: `word`, `number`, and four numbers `a` to `d`.
    """

    def __init__(
        self, task: str, refusal: str, head: str, body: str, test: str, values: Callable[[_Values], _Values]
    ) -> None:
        self._texts = {"task": task, "refusal": refusal, "head": head, "body": body, "test": test}
        self._values = values

    def draw(self, rng: random.Random) -> dict[str, str]:
        """Its texts without gaps."""
        drawn: _Values = {"word": rng.choice(WORDS), "number": rng.randint(2, 60)}
        drawn |= {name: rng.randint(10, 99) for name in "abcd"}
        values = drawn | self._values(drawn)
        return {name: Template(text).substitute(values).strip("\n") for name, text in self._texts.items()}


def draw_problem(rng: random.Random) -> tuple[str, dict[str, Any]]:
    """A prompt, and the fields of its problem."""
    number = rng.randrange(len(_FAMILIES))
    texts = _FAMILIES[number].draw(rng)
    imports = [
        line.split()[1] for line in texts["head"].splitlines() if line.startswith(("import ", "from "))
    ]
    return PROMPT.format(**texts), {
        "task_id": f"Own/{number}",
        "code_prompt": texts["head"],
        "canonical_solution": texts["body"],
        "test": texts["test"],
        "libs": imports,
    }


_COLUMN = Family(
    "Read a CSV file with a header and return the sum of its column `$word`, as a whole number, over the "
    "rows in which that column is above $number.",
    "the file has no such column",
    """
import csv
from pathlib import Path
def task_func(path):
""",
    """
    with Path(path).open(newline="") as file:
        reader = csv.DictReader(file)
        if "$word" not in (reader.fieldnames or []):
            raise ValueError("no column $word")
        return sum(int(row["$word"]) for row in reader if int(row["$word"]) > $number)
""",
    """
import tempfile
import unittest
from pathlib import Path


class TestCases(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name, "data.csv"))

    def tearDown(self):
        self.folder.cleanup()

    def write(self, text):
        Path(self.path).write_text(text)
        return self.path

    def test_sum(self):
        self.assertEqual(task_func(self.write("id,$word\\n1,$a\\n2,$b\\n3,$number\\n")), $total)

    def test_other_order(self):
        self.assertEqual(task_func(self.write("$word,id\\n$c,1\\n$d,2\\n")), $other)

    def test_no_rows(self):
        self.assertEqual(task_func(self.write("id,$word\\n")), 0)

    def test_no_column(self):
        with self.assertRaises(ValueError):
            task_func(self.write("id,name\\n1,x\\n"))
""",
    lambda v: {
        "total": sum(n for n in (v["a"], v["b"]) if n > v["number"]),
        "other": sum(n for n in (v["c"], v["d"]) if n > v["number"]),
    },
)

_DOWNLOAD = Family(
    "Download the JSON list at a URL with `urllib.request.urlopen` and return how many of its objects have a "
    "`$word` of at least $number.",
    "the JSON is not a list",
    """
import json
import urllib.request
def task_func(url):
""",
    """
    with urllib.request.urlopen(url) as response:
        items = json.loads(response.read())
    if not isinstance(items, list):
        raise ValueError("no list")
    return sum(item.get("$word", 0) >= $number for item in items)
""",
    """
import json
import unittest
from unittest.mock import patch


class TestCases(unittest.TestCase):
    def count(self, value):
        with patch("urllib.request.urlopen") as opened:
            opened.return_value.__enter__.return_value.read.return_value = json.dumps(value).encode()
            opened.return_value.read.return_value = json.dumps(value).encode()
            result = task_func("http://example.org/$word")
            self.assertEqual(opened.call_args[0][0], "http://example.org/$word")
            return result

    def test_count(self):
        items = [{"$word": $a}, {"$word": $b}, {"$word": $c}, {"other": $d}, {"$word": $number}]
        self.assertEqual(self.count(items), $total)

    def test_empty(self):
        self.assertEqual(self.count([]), 0)

    def test_no_list(self):
        with self.assertRaises(ValueError):
            self.count({"$word": $a})
""",
    lambda v: {"total": 1 + sum(v[name] >= v["number"] for name in "abc")},
)

_DATES = Family(
    "Return the date that is `days` times $number days after a date such as 2024-02-08, as day, month and "
    'year without leading zeros, such as "8 2 2024".',
    "the text is no date of that form",
    """
import re
from datetime import date, timedelta
def task_func(text, days):
""",
    """
    if not re.fullmatch(r"\\d{4}-\\d{2}-\\d{2}", text):
        raise ValueError(text)
    day = date.fromisoformat(text) + timedelta(days=$number * days)
    return f"{day.day} {day.month} {day.year}"
""",
    """
import unittest
from datetime import date, timedelta


class TestCases(unittest.TestCase):
    def check(self, text, days):
        day = date.fromisoformat(text) + timedelta(days=days * $number)
        self.assertEqual(task_func(text, days), f"{day.day} {day.month} {day.year}")

    def test_later(self):
        self.check("2024-02-28", $a)

    def test_earlier(self):
        self.check("2001-01-09", -$b)

    def test_same_day(self):
        self.assertEqual(task_func("1999-12-31", 0), "31 12 1999")

    def test_no_date(self):
        for text in ("31.12.1999", "1999-13-01", "", "$word"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                task_func(text, 1)
""",
    lambda _: {},
)

_LOG = Family(
    'Return a dictionary from each level of log lines such as "ERROR $word=$a" to the sum of the values of '
    "`$word` in its lines, each multiplied by $number. Lines without `$word` are left out.",
    "no line has a value of `$word`",
    """
import re
from collections import Counter
def task_func(lines):
""",
    """
    sums = Counter()
    for line in lines:
        if match := re.match(r"([A-Z]+) .*?\\b$word=(\\d+)", line):
            sums[match[1]] += $number * int(match[2])
    if not sums:
        raise ValueError("no line with $word")
    return dict(sums)
""",
    """
import unittest


class TestCases(unittest.TestCase):
    def test_sums(self):
        lines = ["ERROR $word=$a", "INFO $word=$b", "ERROR $word=$c", "INFO other=$d"]
        self.assertEqual(task_func(lines), {"ERROR": $number * $errors, "INFO": $number * $b})

    def test_other_fields(self):
        self.assertEqual(task_func(["WARN id=7 $word=$d"]), {"WARN": $number * $d})

    def test_none(self):
        for lines in ([], ["INFO other=1"]):
            with self.subTest(lines=lines), self.assertRaises(ValueError):
                task_func(lines)
""",
    lambda v: {"errors": v["a"] + v["c"]},
)

_DIGESTS = Family(
    "Return a dictionary from the name of each file in a folder that ends in `.$word` to the first $size "
    "hexadecimal digits of its SHA-256 checksum.",
    "the folder has no such file",
    """
import hashlib
import os
def task_func(folder):
""",
    """
    digests = {}
    for name in os.listdir(folder):
        if name.endswith(".$word"):
            with open(os.path.join(folder, name), "rb") as file:
                digests[name] = hashlib.sha256(file.read()).hexdigest()[:$size]
    if not digests:
        raise ValueError("no file")
    return digests
""",
    """
import hashlib
import os
import tempfile
import unittest


class TestCases(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, data):
        with open(os.path.join(self.folder.name, name), "wb") as file:
            file.write(data)

    def test_digests(self):
        self.write("a.$word", b"$a")
        self.write("b.$word", b"$b")
        self.write("c.other", b"$c")
        right = {}
        for name, data in (("a", b"$a"), ("b", b"$b")):
            right[f"{name}.$word"] = hashlib.sha256(data).hexdigest()[:$size]
        self.assertEqual(task_func(self.folder.name), right)

    def test_empty_file(self):
        self.write("d.$word", b"")
        self.assertEqual(task_func(self.folder.name), {"d.$word": hashlib.sha256(b"").hexdigest()[:$size]})

    def test_no_file(self):
        with self.assertRaises(ValueError):
            task_func(self.folder.name)
""",
    lambda v: {"size": v["number"]},
)

_FAMILIES: Final = (_COLUMN, _DOWNLOAD, _DATES, _LOG, _DIGESTS)
