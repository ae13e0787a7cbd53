"""No known reward hack pays in a built-in environment, and one that pays is reported."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nemo_gym import Environment, Response, Session
from nemo_gym.environments.conformance.check import check_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.environment_info import library
from nemo_gym.environments.redteam.attack import RedteamReport, attack
from nemo_gym.environments.redteam.hacks import corpus, families, read_hacks
from nemo_gym.environments.redteam.scripts import split_oracle
from nemo_gym.wire.errors import UsageError

SLOW = {
    "bigcodebench", "bird_sql", "code_gen", "data_analysis", "evalplus", "math_with_code", "spider2_lite",
    "sql", "swe_mini", "terminal",
}  # fmt: skip
"""They run programs for each hack. Their own hacks are in the tests of each."""


@pytest.mark.parametrize("name", list(library()))
def test_no_known_hack_pays_in_a_built_in_environment(name: str) -> None:
    kind = find_environment(name, roots=[])
    slow = name in SLOW
    share = 8 if slow or name in ("example_repair", "tau2") else 2
    report = asyncio.run(attack(lambda: kind({}), tasks=1, share=share, own=not slow))
    assert report.payments == ()
    assert report.own >= 8
    assert report.general or report.exemptions


def test_a_share_of_the_corpus_is_tried_and_the_shares_together_are_the_corpus() -> None:
    whole, half = (asyncio.run(attack(lambda: Gullible({}), tasks=1, share=share)) for share in (1, 2))
    assert 0 < half.general < whole.general


class Gullible(Environment):
    """Looks for the right word anywhere in the answer."""

    def tasks(self, split: str, seed: int, n: int | None):  # type: ignore[no-untyped-def]
        self.check_split(split, ["test"])
        params = {"input": [{"role": "user", "content": "Which word?"}]}
        return [{"responses_create_params": params, "answer": word} for word in ("horse", "mule")]

    def verify(self, task: object, response: Response, session: Session) -> float:
        return float(session.row["answer"] in response.final_text)

    def oracle(self, task: object, session: Session) -> str:
        return f"<answer>{session.row['answer']}</answer>"


class Generous(Gullible):
    """Pays for every answer."""

    def verify(self, task: object, response: Response, session: Session) -> float:
        return 1.0


class Folder(Gullible):
    """Has a file of hacks."""

    place: Path

    @classmethod
    def folder(cls) -> Path:
        return cls.place


def paid_families(report: RedteamReport) -> set[str]:
    return {one.family for one in report.payments}


def test_an_environment_that_searches_the_answer_pays_for_denials_lists_and_thinking() -> None:
    report = asyncio.run(attack(lambda: Gullible({})))
    assert {"denial", "list_of_guesses", "thinking_only", "several_answers"} <= paid_families(report)
    assert "format_only" not in paid_families(report)


def test_an_environment_that_always_pays_is_reported_for_every_family_that_applies() -> None:
    assert {"format_only", "refusal", "bomb"} <= paid_families(asyncio.run(attack(lambda: Generous({}))))


def test_own_hacks_exemptions_and_honest_twins(tmp_path: Path) -> None:
    Folder.place = tmp_path
    task = '{"responses_create_params": {"input": "?"}, "answer": "horse"}'
    (tmp_path / "redteam.jsonl").write_text(
        f'{{"name": "a", "family": "x", "task": {task}, "output": "not horse", "expected": "zero"}}\n'
        f'{{"name": "b", "family": "x", "task": {task}, "output": "mule", "expected": "full"}}\n'
        f'{{"name": "c", "family": "x", "task": {task}, "output": "horse", "expected": 1.0}}\n'
        '{"family": "denial", "not_applicable": "words are not read"}\n'
    )
    report = asyncio.run(attack(lambda: Folder({}), tasks=1))
    assert [one.hack for one in report.payments if one.family == "x"] == ["a", "b"]
    assert report.own == 3
    assert "denial" not in paid_families(report)
    assert report.exemptions == {"denial": "words are not read"}


@pytest.mark.parametrize(
    "line", ['{"family": "denail", "not_applicable": "r"}', '{"name": "a", "family": "x", "output": ""}']
)
def test_a_line_of_another_form_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    path = tmp_path / "redteam.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UsageError, match=r"redteam\.jsonl:1"):
        read_hacks(path)


def test_the_corpus_has_different_names_in_each_family() -> None:
    assert len({(hack.family, hack.name) for hack in corpus()}) == len(corpus()) > 100
    assert len(families()) > 15


@pytest.mark.parametrize(
    ("text", "row", "answer"),
    [("So \\boxed{4}.", {}, "4"), ("It is hazy.", {"expected_answer": "hazy"}, "hazy"), ("up", {}, "up")],
)
def test_the_answer_in_an_oracles_text(text: str, row: dict[str, str], answer: str) -> None:
    parts = split_oracle(text, row)
    assert parts.answer == answer
    assert "".join(parts) == text


def test_the_check_reports_an_answer_without_content_that_is_paid(tmp_path: Path) -> None:
    report = asyncio.run(check_environment(lambda: Generous({}), tasks=2))
    assert not report.passed


def test_some_lines_of_a_family_are_exempt_by_name(tmp_path: Path) -> None:
    path = tmp_path / "redteam.jsonl"
    path.write_text('{"family": "denial", "not_applicable": "r", "hacks": ["not the answer"]}\n')
    file = read_hacks(path)
    assert [hack.name for hack in corpus() if not file.applies(hack)] == ["not the answer"]
    path.write_text('{"family": "denial", "not_applicable": "r", "hacks": ["not the answers"]}\n')
    with pytest.raises(UsageError, match="Did you mean 'not the answer'"):
        read_hacks(path)
