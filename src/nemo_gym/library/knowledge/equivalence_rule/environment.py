"""Texts that must be written again, compared with the expected one by a rule."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from nemo_gym import Reward, Session, Task, ask, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import last_message
from nemo_gym.verifiers.sequence_similarity import prefix_weighted_similarity, sequence_similarity, squeezed
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.response import Response

RULES: Final[dict[str, Callable[[str, str], float]]] = {
    "exact": lambda text, gold: float(text == gold),
    "seq_match": sequence_similarity,
    "weighted_seq_match": prefix_weighted_similarity,
}
WORDS: Final = (3, 5, 8, 14, 24)
"""The words of a generated text at each level."""


class EquivalenceRuleTask(Task):
    """The text that must be written."""

    expected_answer: str


class EquivalenceRule(Environment):
    """Write a text again, whole or changed; the result is compared by one of three rules."""

    domain: ClassVar[str] = "knowledge"
    stateless: ClassVar[bool | None] = True

    Task = EquivalenceRuleTask

    class Config(Config):
        grading_rule: Literal["exact", "seq_match", "weighted_seq_match"] = "exact"
        """Equality; the similarity of the texts; or that with a weight for the first ten characters."""
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """Texts of 3 to 24 words; from level 1 on they must be changed too."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[EquivalenceRuleTask]:
        return generate_tasks(self, self.make, last_message, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> EquivalenceRuleTask:
        """Draw a text and what to do with it."""
        level: int = self.config.level
        words: list[str] = rng.sample(VOCABULARY, WORDS[level])
        changes = list(CHANGES)[: 1 if level == 0 else None]
        request = rng.choice(changes)
        question = f"{request} Answer with nothing but the result.\n\n{' '.join(words)}"
        return EquivalenceRuleTask(
            responses_create_params={**ask(question)}, expected_answer=" ".join(CHANGES[request](words))
        )

    def seed(self, task: EquivalenceRuleTask, session: Session) -> None:
        """Refuse a row without a text to compare with.

        Raises:
            TaskUnfit: the expected text is blank.
        """
        if not task.expected_answer.strip():
            raise TaskUnfit("expected_answer is blank: give the text that is right")

    @blocking
    def verify(self, task: EquivalenceRuleTask, response: Response, session: Session) -> Reward:
        text = strip_reasoning(response.final_text)
        score = RULES[self.config.grading_rule](squeezed(text), squeezed(task.expected_answer))
        reason = "right" if score == 1.0 else "differs" if text.strip() else "no_answer"
        details: dict[str, Any] = {
            "extracted_answer": text.strip()[:2000] or None,
            "reason": reason,
            "equivalence_score": score,
        }
        return Reward(score, details=details)

    def oracle(self, task: EquivalenceRuleTask, session: Session) -> str:
        return task.expected_answer


CHANGES: Final[dict[str, Callable[[list[str]], list[str]]]] = {
    "Write this text again, word for word.": lambda words: words,
    "Write the words of this text in reverse order.": lambda words: words[::-1],
    "Write this text again without its first and its last word.": lambda words: words[1:-1],
    "Write this text again with the first word moved to the end.": lambda words: words[1:] + words[:1],
    "Write the words of this text in the order of the alphabet.": sorted,
    "Write the second half of this text before the first half; a middle word belongs to the first half.": (
        lambda words: words[(len(words) + 1) // 2 :] + words[: (len(words) + 1) // 2]
    ),
    "Write only every other word of this text, and start with the first one.": lambda words: words[::2],
}
VOCABULARY: Final = (
    "acorn", "anchor", "apple", "arrow", "autumn", "badge", "baker", "basket", "beach", "blanket",
    "bridge", "butter", "button", "candle", "canyon", "carpet", "castle", "cellar", "chalk", "cherry",
    "circle", "cloud", "copper", "cotton", "cradle", "crystal", "dancer", "desert", "diamond", "doctor",
    "dragon", "engine", "evening", "falcon", "farmer", "feather", "fiddle", "flower", "forest",
    "fountain", "garden", "ginger", "glacier", "guitar", "hammer", "harbour", "honey", "island", "jacket",
    "jungle", "kettle", "kitchen", "ladder", "lantern", "lemon", "letter", "lizard", "magnet", "marble",
    "market", "meadow", "mirror", "monkey", "morning", "mountain", "needle", "northern", "ocean", "olive",
    "orchard", "oyster", "palace", "paper", "parrot", "pepper", "pilot", "planet", "pocket", "potato",
    "puzzle", "rabbit", "ribbon", "river", "saddle", "sailor", "salmon", "shadow", "silver", "spider",
    "spring", "station", "summer", "sunset", "tailor", "temple", "thunder", "ticket", "tunnel", "turtle",
    "valley", "velvet", "violin", "wagon", "walnut", "window",
)  # fmt: skip
