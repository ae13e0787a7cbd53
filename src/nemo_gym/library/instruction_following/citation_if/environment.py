"""Answers from numbered documents, with a marker for each document that was used and no other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from nemo_gym import Reward, Session, Task, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import after_solved_tasks, last_message
from nemo_gym.verifiers.citations import CitationRule, check_citations
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.params import ask
from nemo_gym.wire.response import Response

_NAMES = (
    "Amber Inn,Birch House,Cedar Mill,Delta Pier,Elm Court,Fern Lodge,Grove Hall,Hazel Barn,Iris Tower,"
    "Juniper Farm,Kestrel Quay,Linden Gate"
)
_FACTS = {
    "colour of the door": "red blue green white black yellow grey brown",
    "day of rest": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "name of the cat": "Momo Pixel Biscuit Nero Luna Pepper Olive Tiger",
    "number of rooms": "12 17 23 31 38 44 52 65",
    "year of the roof": "1887 1902 1911 1926 1934 1958 1963 1971",
}


class CitationTask(Task):
    """Numbered documents, and which of them an answer must cite."""

    documents: list[str]
    gold: list[int] = []
    mode: Literal["must_cite", "no_cite"] = "must_cite"
    max_citations: int | None = None
    expected_lines: list[str] | None = None


class CitationIf(Environment):
    """Answer from numbered documents and cite exactly those that hold the answers."""

    domain: ClassVar[str] = "instruction_following"
    stateless: ClassVar[bool | None] = True
    answer_key: ClassVar[str | None] = "extracted_answer"

    Task = CitationTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """The documents and questions of the generated tasks: 2 and 1 at first, after two solved tasks, and
        10 and 4 at last."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[CitationTask]:
        return generate_tasks(self, self.make, last_message, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> CitationTask:
        """Draw a task; at level 0 two solved ones come before it."""
        task = self.draw(rng)
        return task if self.config.level > 0 else after_solved_tasks(task, self.draw, right_answer)

    def draw(self, rng: random.Random) -> CitationTask:
        """Draw a task without solved ones. From level 2 on some tasks demand that nothing is cited."""
        level: int = self.config.level
        names = _NAMES.split(",")
        pairs = rng.sample([(name, fact) for name in names for fact in _FACTS], 2 + 2 * level)
        values = [rng.choice(_FACTS[fact].split()) for _, fact in pairs]
        gold = rng.sample(range(len(pairs)), max(1, level))
        is_inverted = level > 1 and rng.random() < 0.2
        documents = [
            f"{name}: the {fact} is {value}." for (name, fact), value in zip(pairs, values, strict=True)
        ]
        questions = [f"{name}: what is the {fact}?" for name, fact in (pairs[at] for at in gold)]
        lines = [values[at] if is_inverted else f"{values[at]} [{at + 1}]" for at in gold]
        how = (
            "Write only the answer. Do not cite any document."
            if is_inverted
            else "Write the answer and after it the number of the document with it, in the form: answer [1]"
        )
        prompt = (
            "\n".join(f"[{number}] {text}" for number, text in enumerate(documents, 1))
            + f"\n\nUse the documents above. Answer each question on a line of its own. {how}\n"
            + "\n".join(questions)
        )
        return CitationTask(
            responses_create_params={**ask(prompt)},
            documents=documents,
            gold=[] if is_inverted else [at + 1 for at in gold],
            mode="no_cite" if is_inverted else "must_cite",
            expected_lines=lines,
        )

    def seed(self, task: CitationTask, session: Session) -> None:
        """Refuse a row whose gold documents do not exist.

        Raises:
            TaskUnfit: with the reason.
        """
        _rule(task)

    def verify(self, task: CitationTask, response: Response, session: Session) -> Reward:
        text = strip_reasoning(response.final_text)
        verdict = check_citations(text, _rule(task))
        details = {
            "extracted_answer": text.strip()[:200] or None,
            "reason": verdict.gate,
            "citations": [*verdict.markers[:50]],
        }
        return Reward(float(verdict.holds), details=details)

    def oracle(self, task: CitationTask, session: Session) -> str | None:
        return None if task.expected_lines is None else right_answer(task)


def right_answer(task: CitationTask) -> str:
    """The lines that a row expects."""
    return "\n".join(task.expected_lines or ())


def _rule(task: CitationTask) -> CitationRule:
    if task.mode == "must_cite" and not task.gold:
        raise TaskUnfit("gold is empty, which mode must_cite needs")
    if wrong := [number for number in task.gold if not 1 <= number <= len(task.documents)]:
        raise TaskUnfit(f"gold has the document {wrong[0]}; there are {len(task.documents)}")
    return CitationRule(
        documents=len(task.documents),
        gold=task.gold,
        most=task.max_citations,
        is_inverted=task.mode == "no_cite",
        lines=task.expected_lines,
    )
