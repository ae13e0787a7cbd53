"""A long conversation with several like requests: one of the answers must be repeated word for word."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final

import msgspec

from nemo_gym import Reward, Session, Task, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.library.long_context.mrcr.writing import FORMS, SUBJECTS, write
from nemo_gym.verifiers.sequence_similarity import similarity_after_prefix
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, assistant, user
from nemo_gym.wire.response import Response

LEVELS: Final = ((2, 2, 1), (2, 6, 3), (4, 16, 5), (8, 40, 8), (8, 150, 12))
"""At each level: like requests, all requests, and the sentences of an answer."""
ORDINALS: Final = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th")


class MrcrTask(Task):
    """The text that must be repeated, with the letters before it."""

    expected_answer: str
    random_string_to_prepend: str
    n_needles: int | None = None
    desired_msg_index: int | None = None
    total_messages: int | None = None
    n_chars: int | None = None


class Mrcr(Environment):
    """Find one of several like answers in a long conversation, and repeat it word for word."""

    domain: ClassVar[str] = "long_context"
    stateless: ClassVar[bool | None] = True

    Task = MrcrTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """From 2 requests with short answers to 150 requests, of which 8 are alike."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[MrcrTask]:
        return generate_tasks(self, self.make, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> MrcrTask:
        """Draw a conversation."""
        level: int = self.config.level
        alike, total, sentences = LEVELS[level]
        form, subject = rng.choice(FORMS), rng.choice(SUBJECTS)
        rivals = [(f, s) for f in FORMS for s in SUBJECTS if (f, s) != (form, subject)]
        requests = [(form, subject)] * alike + [rng.choice(rivals) for _ in range(total - alike)]
        rng.shuffle(requests)
        items: list[Item] = []
        needles: list[tuple[int, str]] = []
        for request in requests:
            text = write(rng, *request, sentences)
            if request == (form, subject):
                needles.append((len(items) + 1, text))
            items += [user(f"Write a {request[0]} about {request[1]}."), assistant(text)]
        number = rng.randrange(alike)
        prefix = "".join(rng.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=10))
        items.append(user(question(prefix, ORDINALS[number], form, subject)))
        index, text = needles[number]
        return MrcrTask(
            responses_create_params={"input": items},
            expected_answer=prefix + text,
            random_string_to_prepend=prefix,
            n_needles=alike,
            desired_msg_index=index,
            total_messages=len(items),
        )

    def seed(self, task: MrcrTask, session: Session) -> None:
        """Refuse a row that any answer would fit.

        Raises:
            TaskUnfit: with the reason.
        """
        prefix = task.random_string_to_prepend
        if not prefix:
            raise TaskUnfit("random_string_to_prepend is empty")
        if not task.expected_answer.removeprefix(prefix).strip():
            raise TaskUnfit("expected_answer has no text after random_string_to_prepend")

    @blocking
    def verify(self, task: MrcrTask, response: Response, session: Session) -> Reward:
        text, prefix = strip_reasoning(response.final_text).strip(), task.random_string_to_prepend
        details: dict[str, Any] = {"extracted_answer": text[:2000] or None}
        if not text.startswith(prefix):
            return Reward(0.0, details={**details, "reason": "no_prefix" if text else "no_answer"})
        score = similarity_after_prefix(text, task.expected_answer.strip(), prefix)
        return Reward(score, details={**details, "reason": "right" if score == 1.0 else "differs"})

    def oracle(self, task: MrcrTask, session: Session) -> str:
        answer, prefix = task.expected_answer, task.random_string_to_prepend
        return answer if answer.startswith(prefix) else prefix + answer


def question(prefix: str, ordinal: str, form: str, subject: str) -> str:
    """The last request."""
    return (
        f"Write {prefix} and directly after it, word for word, the {ordinal} {form} about {subject} of this "
        "conversation. Write nothing else."
    )
