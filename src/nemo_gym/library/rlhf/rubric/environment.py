"""A judge checks an answer against each item of the task's own rubric."""

import random
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from nemo_gym import Environment, Response, Reward, Session, Task, generate_tasks
from nemo_gym.environments.generated_tasks import last_message
from nemo_gym.environments.judge import ask_label
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.params import ask

LABELS = ("YES", "NO")
INSTRUCTIONS = """\
You check one point about an answer to a request, and nothing else. You do not answer the request.
YES: the answer plainly meets the point. NO: it does not, does so only in part, or only claims to."""
TOPICS = (
    "the sea", "a train", "winter", "bread", "a library", "rain", "a market", "the moon", "a garden",
    "music", "a bridge", "school", "a dog", "coffee", "the wind", "a letter", "night", "a river",
)  # fmt: skip
WORDS = (
    "silver", "quiet", "window", "stone", "early", "lantern", "paper", "green", "slowly", "salt", "door",
    "map", "cloud", "basket", "echo", "copper", "thread", "mirror", "sugar", "clock",
)  # fmt: skip
Aggregation = Literal["mean", "min", "max", "all", "any", "weighted"]


class Item(msgspec.Struct):
    """A point of a rubric."""

    question: Annotated[str, Meta(min_length=1, max_length=4000)]
    pass_criteria: Literal["YES", "NO"] = "YES"
    """The verdict with which the point is met."""
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0


class Rubric(Environment):
    """Write an answer that meets every point of the task's own rubric, as a judge sees it."""

    asks = ("judge",)
    domain = "rlhf"
    stateless = True

    class Config(Environment.Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """How many words more than one a generated task asks for."""
        aggregation: Aggregation = "mean"
        """How the points make the reward; `weighted` is the mean by their weights."""
        judge_responses_create_params: dict[str, Any] = {}
        """Request parameters of the judge's calls."""

    class Task(Task):
        rubric: Annotated[list[Item], Meta(min_length=1, max_length=50)]
        reference: str | None = None
        """An answer that meets the rubric."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        def make(rng: random.Random) -> "Rubric.Task":
            topic, words = rng.choice(TOPICS), sorted(rng.sample(WORDS, self.config.level + 2))
            end = rng.choice("?!.")
            points = [Item(f'Does the answer use the word "{word}"?') for word in words]
            points.append(Item(f'Is the last character of the answer "{end}"?'))
            together = ", ".join(words)
            prompt = f"Write a sentence about {topic} with the words {together}. Its last character is {end}"
            reference = f"About {topic}: {together}{end}"
            return self.Task(responses_create_params={**ask(prompt)}, rubric=points, reference=reference)

        return generate_tasks(self, make, last_message, split=split, seed=seed, n=n)

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        answer = strip_reasoning(response.final_text).strip()
        if not answer:
            return Reward(0.0, details={"extracted_answer": None, "reason": "no_answer", "rubric_scores": []})
        scores: list[float] = []
        for item in task.rubric:
            data = {"REQUEST": last_message(task), "POINT": item.question, "ANSWER": answer}
            params = self.config.judge_responses_create_params
            verdict = await ask_label(self.models["judge"], INSTRUCTIONS, data, LABELS, params=params)
            scores.append(float(verdict.value == item.pass_criteria))
        value = aggregate(scores, [item.weight for item in task.rubric], self.config.aggregation)
        reason = "right" if value == 1.0 else "partial" if value else "wrong"
        return Reward(
            value, details={"extracted_answer": answer[:200], "reason": reason, "rubric_scores": scores}
        )

    def oracle(self, task: Task, session: Session) -> str | None:
        return task.reference


def aggregate(scores: Sequence[float], weights: Sequence[float], how: Aggregation) -> float:
    """The reward for the scores of the points, each 0 or 1."""
    match how:
        case "mean":
            return sum(scores) / len(scores)
        case "weighted":
            return sum(s * w for s, w in zip(scores, weights, strict=True)) / sum(weights)
        case "min" | "all":
            return min(scores)
        case "max" | "any":
            return max(scores)
