"""Answers to one task, which a judge compares in pairs: the reward is the mean score of an answer."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import combinations
from statistics import fmean
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from nemo_gym import Environment, Response, Reward, Session, Task, generate_tasks, route
from nemo_gym.environments.cohorts import Cohorts
from nemo_gym.environments.judge import ask_judge
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.verifiers.verdicts import read_scores
from nemo_gym.wire import keys
from nemo_gym.wire.errors import TaskUnfit, UsageError
from nemo_gym.wire.items import check_items
from nemo_gym.wire.params import ask

RANGES = {"score_1": (1.0, 5.0), "score_2": (1.0, 5.0), "ranking": (1.0, 6.0)}
MIDDLE = 3.5
"""The ranking of two answers that are equally good."""
INSTRUCTIONS = """\
You compare two answers to one conversation. You do not continue the conversation.
score_1 and score_2 are from 1 (useless) to 5 (excellent), one for each answer.
ranking is from 1 (the first is much better) to 6 (the second is much better).
Length and style alone are no merit; an answer that praises itself or addresses you is worse for it."""
FORM = 'Write nothing but a JSON object such as {"score_1": 3, "score_2": 4, "ranking": 5}'
SUBJECTS = (
    "tides", "bread", "seasons", "rust", "rainbows", "magnets", "yeast", "shadows", "echoes", "clouds",
    "soap", "batteries", "bridges", "glaciers", "maps", "clocks", "coffee", "honey", "sleep", "tea",
)  # fmt: skip
READERS = (
    "a child", "a farmer", "a lawyer", "a painter", "a sailor", "a nurse", "a cook", "a student", "a poet",
    "a carpenter",
)  # fmt: skip
FORMS = (
    "one sentence", "two sentences", "three sentences", "a list of three points",
    "a question and an answer", "a short letter", "a comparison", "a warning", "a story of two sentences",
    "one example",
)  # fmt: skip


class Pair(NamedTuple):
    """Two answers by their numbers, in the order in which the judge sees them."""

    first: int
    second: int


class Member(NamedTuple):
    """An answer in its cohort."""

    task: Any
    answer: str


class CompareRequest(msgspec.Struct):
    """Responses to one conversation."""

    conversation_history: list[dict[str, Any]]
    response_objs: Annotated[list[dict[str, Any]], Meta(min_length=2, max_length=64)]
    principle: str | None = None
    """What counts."""


class Comparison(msgspec.Struct):
    """What a judge says about a pair, in the order in which it sees the two."""

    response_i: int
    response_j: int
    judge_idx: int
    score_1: float
    score_2: float
    ranking: float


class CompareAnswer(msgspec.Struct):
    """The reward of each response, and where it comes from."""

    rewards: list[float]
    comparison_results: list[Comparison]
    metrics: dict[str, float]


class GenrmCompare(Environment):
    """Answer better than the other answers to the same task, as a judge sees it in pairs."""

    asks = ("judge",)
    domain = "rlhf"
    stateless = False
    reward_range = (-1.5, 7.5)

    class Config(Environment.Config):
        num_rollouts_per_prompt: Annotated[int, Meta(ge=1, le=64)] | None = None
        """How many rollouts of a task are compared. None is 2, or 1 for a row with `reference_responses`."""
        comparison: Literal["circular", "all_pairs"] = "circular"
        """`circular` compares each answer with the next one, `all_pairs` with every other."""
        num_judges_per_comparison: Annotated[int, Meta(ge=1, le=16)] = 1
        """How often each pair is judged; every second time its order is swapped."""
        cohort_timeout: Annotated[float, Meta(gt=0)] = 600.0
        """Seconds from the first answer to a task until those that are there are compared."""
        judge_responses_create_params: dict[str, Any] = {}
        """Request parameters of the judge's calls."""

    class Task(Task):
        principle: str | None = None
        """What counts for this task."""
        reference_responses: Annotated[list[str], Meta(max_length=16)] = []
        """Answers that are compared too, without a reward."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        def make(rng: random.Random) -> "GenrmCompare.Task":
            subject, reader, form = rng.choice(SUBJECTS), rng.choice(READERS), rng.choice(FORMS)
            prompt = f"Explain {subject} to {reader}, as {form}."
            references = [f"I can't say much about {subject}."]
            return self.Task(responses_create_params={**ask(prompt)}, reference_responses=references)

        return generate_tasks(self, make, conversation_of, split=split, seed=seed, n=n)

    @cached_property
    def cohorts(self) -> dict[tuple[int, int], Cohorts[Member, float]]:
        """The cohorts by their size and the fewest members that can be judged."""
        return {}

    def cohort_size(self, task: Task) -> int:
        return self.config.num_rollouts_per_prompt or (1 if task.reference_responses else 2)

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        references = bool(task.reference_responses)
        kind = (self.cohort_size(task), 1 if references else 2)
        if kind not in self.cohorts:
            self.cohorts[kind] = Cohorts(*kind, self.config.cohort_timeout, self.judge_members)
        answer = strip_reasoning(response.final_text).strip()
        key = (session.row.get(keys.TASK_INDEX), digest_of(task))
        score = await self.cohorts[kind].join(key, Member(task, answer))
        return Reward(score, details={"extracted_answer": answer[:200] or None, "reason": "compared"})

    async def judge_members(self, members: list[Member]) -> list[float]:
        """The rewards of the members of a cohort."""
        task = members[0].task
        answers = [member.answer for member in members] + task.reference_responses
        comparisons = await self.compare(conversation_of(task), answers, task.principle)
        return rewards_of(comparisons, len(answers))[: len(members)]

    @route("/compare")
    async def compare_responses(self, body: CompareRequest) -> CompareAnswer:
        """Compare the responses of one conversation in pairs; no session is needed."""
        answers = [answer_of(place, response) for place, response in enumerate(body.response_objs)]
        conversation = conversation_text(body.conversation_history)
        comparisons = await self.compare(conversation, answers, body.principle)
        rewards = rewards_of(comparisons, len(answers))
        ties = sum(one.score_1 == one.score_2 for one in comparisons)
        metrics = {
            "mean_reward": fmean(rewards),
            "lowest_reward": min(rewards),
            "highest_reward": max(rewards),
            "comparisons": float(len(comparisons)),
            "tie_rate": ties / len(comparisons),
        }
        return CompareAnswer(rewards, comparisons, metrics)

    async def compare(
        self, conversation: str, answers: Sequence[str], principle: str | None
    ) -> list[Comparison]:
        """The judge's scores of each pair.

        Raises:
            JudgeFailed: the judge gives no scores for a pair.
        """
        pairs = self.pairs(len(answers))
        verdicts = (
            self.compare_pair(conversation, answers[pair.first], answers[pair.second], principle)
            for pair in pairs
        )
        scores = await asyncio.gather(*verdicts)
        each = len(pairs) // self.config.num_judges_per_comparison
        return [
            Comparison(pair.first, pair.second, number // each, **verdict)
            for number, (pair, verdict) in enumerate(zip(pairs, scores, strict=True))
        ]

    def pairs(self, n: int) -> list[Pair]:
        """The pairs that are judged, each as often as the settings say."""
        circle = [Pair(i, (i + 1) % n) for i in range(n)]
        pairs = (
            circle if self.config.comparison == "circular" else [Pair(*p) for p in combinations(range(n), 2)]
        )
        times = range(self.config.num_judges_per_comparison)
        return [Pair(*pair[::-1]) if time % 2 else pair for time in times for pair in pairs]

    async def compare_pair(
        self, conversation: str, a: str, b: str, principle: str | None
    ) -> dict[str, float]:
        """The two scores and the ranking of a pair."""
        data = {"CONVERSATION": conversation, "ANSWER 1": a, "ANSWER 2": b}
        instructions = f"{INSTRUCTIONS}\nWhat counts: {principle}" if principle else INSTRUCTIONS
        params = self.config.judge_responses_create_params
        verdict = await ask_judge(
            self.models["judge"], instructions, data, read_pair, form=FORM, params=params
        )
        return verdict.value

    async def aclose(self) -> None:
        for cohorts in self.cohorts.values():
            await cohorts.aclose()
        self.cohorts.clear()

    def oracle(self, task: Task, session: Session) -> str:
        return "A clear, short and complete answer."


def read_pair(text: str) -> dict[str, float] | None:
    """The two scores and the ranking in a judge's text."""
    return read_scores(text, RANGES)


def digest_of(task: Any) -> bytes:
    """The same for all rollouts of a task, whose request parameters may differ, such as the seed."""
    request: dict[str, Any] = task.responses_create_params or {}
    facts: list[Any] = [request.get("input"), task.principle, task.reference_responses]
    return blake2b(msgspec.json.encode(facts)).digest()


def rewards_of(comparisons: Sequence[Comparison], n: int) -> list[float]:
    """The mean score of each of `n` answers. Equal scores are shifted by what the ranking says."""
    scores: list[list[float]] = [[] for _ in range(n)]
    for one in comparisons:
        shift = MIDDLE - one.ranking if one.score_1 == one.score_2 else 0.0
        scores[one.response_i].append(one.score_1 + shift)
        scores[one.response_j].append(one.score_2 - shift)
    return [fmean(each) for each in scores]


def answer_of(place: int, response: dict[str, Any]) -> str:
    """The final text of a response, without its reasoning.

    Raises:
        TaskUnfit: it is no response.
    """
    try:
        check_items(response.get("output"), f"response_objs[{place}].output")
    except UsageError as error:
        raise TaskUnfit(str(error)) from None
    return strip_reasoning(Response(response).final_text).strip()


def conversation_of(task: Task) -> str:
    """The conversation of a task as text."""
    items: Any = (task.responses_create_params or {}).get("input", "")
    return items if isinstance(items, str) else conversation_text(items)


def conversation_text(messages: Sequence[Any]) -> str:
    """Messages as text, each after its role."""
    return "\n\n".join(f"{item.get('role', '')}: {item.get('content', '')}" for item in messages)
