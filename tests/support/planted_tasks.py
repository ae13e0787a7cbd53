"""A file of tasks with planted duplicates, junk and tasks of a benchmark, in lines of several styles."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from nemo_gym.wire.items import system, user

WORDS = [
    "river", "stone", "market", "engine", "travel", "copper", "window", "garden",
    "letter", "number", "silver", "bridge", "forest", "planet", "button", "camera",
    "doctor", "farmer", "island", "jacket", "kitchen", "ladder", "mirror", "needle",
    "orange", "pencil", "rabbit", "school", "ticket", "valley", "winter", "yellow",
    "basket", "candle", "dragon", "feather", "guitar", "hammer", "insect", "jungle",
]  # fmt: skip
AGENT = {"type": "responses_api_agents", "name": "quiz_agent"}
REASONS = {
    "copy": "duplicate",
    "spaces": "duplicate",
    "one_word": "near_duplicate",
    "short": "too_short",
    "empty": "too_short",
    "again": "repetitive",
    "noise": "unreadable",
    "leak": "leak",
    "leak_upper": "leak",
}
"""The reason for each row that must go, by its id."""


class Planted:
    """The file `tasks`, the file `benchmark`, and the lines of `tasks` that must stay."""

    def __init__(self, folder: Path) -> None:
        rng = random.Random(7)
        good = [question(rng, number) for number in range(40)]
        secret = [question(rng, number) for number in range(3)]
        rows = [task(f"q{number}", [user(text)], number) for number, text in enumerate(good)]
        rows[7]["responses_create_params"]["input"] = good[7]
        rows[9]["verifier_metadata"] = {"seven": "7", "list": [1, "1", None, 1.0, {"a": []}], "big": 2**60}
        rows += [
            {**rows[3], "id": "copy", "uuid": "other"},
            task("spaces", [user(good[4].replace(" ", "\n  "))], 4),
            task("one_word", [user(good[5].replace("costs", "cost"))], 5),
            task("short", [user("hm")], 0),
            task("empty", [user("")], 0),
            task("again", [user("buy this thing now " * 30)], 0),
            task("noise", [user("\x00\x01\x02\ufffd\ufffd a b c d" + "\x03" * 60)], 0),
            task("leak", [user(f"Dear helper, answer this: {secret[0][30:]} Thank you.")], 0),
            task("leak_upper", [user(secret[1].upper().replace(" ", " - "))], 0),
            task("seven", [user("7 plus 7 is what?")], 14),
            task("chinese", [user("如果一个苹果三元钱，买五个苹果需要多少钱？请写出计算过程。")], 15),
            task("grid", [user("Which row differs? " + "0 0 1 0 0\n" * 30)], 1),
            {"id": "made", "verifier_metadata": {"seed": 1}, "responses_create_params": {}},
        ]
        rng.shuffle(rows)
        lines = [line(row, rng) for row in rows]
        lines[-1] = lines[-1].rstrip()
        self.tasks = folder / "tasks.jsonl"
        self.tasks.write_bytes(b"\xef\xbb\xbf" + b"".join(lines[:20]) + b"\n \n" + b"".join(lines[20:]))
        self.benchmark = folder / "benchmark.jsonl"
        texts = [{"question": text, "expected_answer": "x"} for text in secret]
        self.benchmark.write_text("".join(f"{json.dumps(one)}\n" for one in texts))
        self.lines = lines
        self.removed = [one for one, row in zip(lines, rows, strict=True) if row["id"] in self.reasons(rows)]
        self.kept = [one for one in lines if one not in self.removed]

    def reasons(self, rows: list[dict[str, Any]]) -> set[str]:
        """The ids that go: of each pair of duplicates, the later one."""
        place = {row["id"]: number for number, row in enumerate(rows)}
        pairs = {"copy": "q3", "spaces": "q4", "one_word": "q5"}
        return {
            pairs[name] if name in pairs and place[pairs[name]] > place[name] else name for name in REASONS
        }


def question(rng: random.Random, number: int) -> str:
    return f"A {rng.choice(WORDS)} costs {number + 3} coins. " + " ".join(rng.choices(WORDS, k=40)) + "?"


def task(name: str, input: list[Any], answer: int) -> dict[str, Any]:
    params = {"input": [system("You answer questions."), *input], "temperature": 1}
    return {"id": name, "responses_create_params": params, "expected_answer": str(answer), "agent_ref": AGENT}


def line(row: dict[str, Any], rng: random.Random) -> bytes:
    """A row in one of several styles."""
    text = json.dumps(
        row, ensure_ascii=rng.random() < 0.5, separators=rng.choice([(",", ":"), (", ", " : ")])
    )
    return text.replace("</", "<\\/").encode() + rng.choice([b"\n", b"\r\n", b"  \n"])
