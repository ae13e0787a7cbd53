"""Texts whose lines match patterns, or that have exactly the demanded citation markers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from nemo_gym import Reward, Session, Task, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import after_solved_tasks, last_message
from nemo_gym.library.instruction_following.format_verification.generation import layout
from nemo_gym.verifiers.layouts import LayoutVerdict, check_lines, check_markers
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.params import ask
from nemo_gym.wire.response import Response


class LayoutVerifier(msgspec.Struct, omit_defaults=True):
    """How the layout of an answer is checked."""

    type: Literal["regex", "citation"]
    verify_regex: list[str] | str = []
    verify_min_matches: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    expected_markers: list[str] = []


class LayoutTask(Task):
    """A layout that an answer must have."""

    verifier: LayoutVerifier


class FormatVerification(Environment):
    """Write a text whose lines have a demanded form, or that has exactly the demanded markers."""

    domain: ClassVar[str] = "instruction_following"
    stateless: ClassVar[bool | None] = True

    Task = LayoutTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """The number of lines, forms and markers of the generated tasks."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[LayoutTask]:
        return generate_tasks(self, self.make, last_message, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> LayoutTask:
        """Draw a task; at level 0 two solved ones come before it."""
        task = self.draw(rng)
        if self.config.level > 0:
            return task
        return after_solved_tasks(task, self.draw, lambda one: one.verifier_metadata["answer"])

    def draw(self, rng: random.Random) -> LayoutTask:
        """Draw a task without solved ones."""
        prompt, fields, answer = layout(rng, self.config.level)
        return LayoutTask(
            responses_create_params={**ask(prompt)},
            verifier=LayoutVerifier(**fields),
            verifier_metadata={"answer": answer},
        )

    def seed(self, task: LayoutTask, session: Session) -> None:
        """Refuse a row whose patterns or markers are not usable.

        Raises:
            TaskUnfit: with the reason.
        """
        _check(task, "")

    @blocking
    def verify(self, task: LayoutTask, response: Response, session: Session) -> Reward:
        text = strip_reasoning(response.final_text)
        verdict = _check(task, text)
        details = {
            "extracted_answer": text.strip()[:200] or None,
            "reason": verdict.reason,
            "detail": verdict.answer,
        }
        return Reward(float(verdict.holds), details=details)

    def oracle(self, task: LayoutTask, session: Session) -> str | None:
        return task.verifier_metadata.get("answer")


def _check(task: LayoutTask, text: str) -> LayoutVerdict:
    verifier = task.verifier
    try:
        if verifier.type == "citation":
            return check_markers(text, verifier.expected_markers)
        patterns = verifier.verify_regex
        return check_lines(
            text, [patterns] if isinstance(patterns, str) else patterns, verifier.verify_min_matches
        )
    except ValueError as error:
        raise TaskUnfit(f"verifier: {error}") from None
