"""Writing tasks with instructions that a program can verify, each with a text that follows them all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, cast

from msgspec import Meta

from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import generate_tasks
from nemo_gym.environments.session import Session
from nemo_gym.verifiers.instructions import check_instructions
from nemo_gym.verifiers.instructions.following import Following
from nemo_gym.verifiers.instructions.units import listed
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.params import ask
from nemo_gym.wire.task import Task

NO_ANSWERS: Final = ("I don't know.", "I do not know", "Sorry, I can't help with that.")
"""Answers that must not follow the instructions of a task."""

_TOPICS = """
    bread, rivers, old bridges, night trains, city gardens, bicycles, lighthouses, snow, bees, wooden
    boats, markets, maps, tea, owls, deserts, glass, paper, clocks, libraries, small islands, volcanoes,
    kites, honey, trams, wells, apples, chess, postcards, rain, stars, windmills, pottery, foxes,
    ferries, moss, salt, school plays, tunnels, umbrellas, wool, cheese, harbours, parks, radio, silk,
    mirrors, mountains, swimming, football, pianos, cats, dogs, horses, the moon, the sea, the wind,
    coffee, jazz, museums, farms
"""
TOPICS: Final = tuple(" ".join(topic.split()) for topic in _TOPICS.split(","))
WORDS: Final = listed(
    """
    amber basket candle dragon engine feather garden hammer insect jacket kettle lantern magnet needle
    orchard pepper quarry ribbon saddle timber unicorn velvet walnut yellow zebra anchor bottle copper
    desert emerald forest ginger harvest island jungle kitchen ladder marble nectar ocean planet rabbit
    silver temple
    """
)
_SENTENCES: Final = (
    "Many people like {topic} for good reasons",
    "The story of {topic} began a long time ago",
    "Some friends talk about {topic} every week",
    "There are books and films about {topic}",
    "Children often ask good questions about {topic}",
    "In winter the town thinks about {topic} again",
    "A good teacher can explain {topic} with a few words",
    "Older people remember {topic} from other times",
    "Nobody knows all that there is to know about {topic}",
    "On quiet days one can think about {topic} for hours",
)


@dataclass(slots=True)
class Draft:
    """A text in work: lines before the body, its sentences, lines after it, and changes of the whole."""

    topic: str
    sentences: list[str]
    before: list[str] = field(default_factory=list[str])
    after: list[str] = field(default_factory=list[str])
    changes: list[Callable[[str], str]] = field(default_factory=list[Callable[[str], str]])

    @property
    def text(self) -> str:
        text = "\n".join([*self.before, " ".join(self.sentences), *self.after]).strip()
        for change in self.changes:
            text = change(text)
        return text


Plan: TypeAlias = tuple[dict[str, Any], str]
"""The arguments of an instruction and its words in the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one kind of instruction is drawn, and how a draft is changed to follow it."""

    id: str
    plan: Callable[[random.Random, Draft], Plan]
    is_easy: bool = False
    is_alone: bool = False
    """Whether it shapes the whole text, so that no other such kind fits beside it."""


@dataclass(frozen=True, slots=True)
class WritingTask:
    """A prompt with its instructions, and a text that follows them."""

    prompt: str
    ids: list[str]
    kwargs: list[dict[str, Any]]
    answer: str


def writing_task(
    rng: random.Random, level: int, kinds: Sequence[Kind], pays: Callable[[Following], float]
) -> WritingTask:
    """Draw a task: one easy instruction at level 0, one of any kind at level 1, and 2 to 4 at levels 2 to 4.

    `pays` is the reward for what a text follows; a task that pays for one of `NO_ANSWERS` or for its own
    prompt is drawn again.
    """
    for _ in range(_ATTEMPTS):
        task = _draw(rng, level, kinds)
        checks = check_instructions(task.ids, task.kwargs)
        if checks.strict(task.answer).all and not any(
            pays(checks.strict(text)) for text in (*NO_ANSWERS, task.prompt)
        ):
            return task
    raise RuntimeError(f"no task of level {level} after {_ATTEMPTS} attempts")


class WritingRow(Task):
    """A prompt whose instructions a program can verify."""

    prompt: str
    instruction_id_list: list[str]
    kwargs: list[dict[str, Any] | None]
    grading_mode: Literal["binary", "fraction"] = "binary"
    id: str | int | None = None

    def reward(self, following: Following) -> float:
        """The part of the instructions that are followed, or whether all are."""
        return following.fraction if self.grading_mode == "fraction" else float(following.all)


class WritingConfig(Config):
    """Settings of an environment of writing tasks."""

    level: Annotated[int, Meta(ge=0, le=4)] = 0
    """The difficulty of the generated tasks: an easy instruction, any, and 2 to 4 together."""


class WritingEnvironment(Environment):
    """An environment whose tasks are prompts with instructions that a program can verify."""

    domain: ClassVar[str] = "instruction_following"
    stateless: ClassVar[bool | None] = True
    Task = WritingRow
    Config: ClassVar[type[Config]] = WritingConfig
    kinds: ClassVar[Sequence[Kind]]
    """The instructions of the generated tasks."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[WritingRow]:
        return generate_tasks(self, self.make, lambda task: task.prompt, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> WritingRow:
        """Draw a task."""
        kind = cast("type[WritingRow]", self.Task)
        blank = kind(prompt="", instruction_id_list=[], kwargs=[])  # with the kind's own grading mode
        task = writing_task(rng, self.config.level, self.kinds, blank.reward)
        return kind(
            responses_create_params={**ask(task.prompt)},
            prompt=task.prompt,
            instruction_id_list=task.ids,
            kwargs=[*task.kwargs],
            verifier_metadata={"answer": task.answer},
        )

    def seed(self, task: WritingRow, session: Session) -> None:
        """Refuse a row with an instruction that is unknown or has unfit arguments.

        Raises:
            TaskUnfit: with the instruction and the reason.
        """
        try:
            check_instructions(task.instruction_id_list, task.kwargs)
        except ValueError as error:
            raise TaskUnfit(str(error)) from None

    def oracle(self, task: WritingRow, session: Session) -> str | None:
        return task.verifier_metadata.get("answer")


def details_of(following: Following, text: str) -> dict[str, Any]:
    """The columns about a text and what it follows."""
    return {
        "follow_all_instructions": following.all,
        "follow_instruction_list": [*following.each],
        "extracted_answer": text.strip()[:200] or None,
        "reason": "right" if following.all else "wrong" if text.strip() else "no_answer",
    }


_ATTEMPTS: Final = 1000


def _draw(rng: random.Random, level: int, kinds: Sequence[Kind]) -> WritingTask:
    chosen = _choose(rng, level, kinds)
    topic = rng.choice(TOPICS)
    draft = Draft(
        topic, [f"{text.format(topic=topic)}." for text in rng.sample(_SENTENCES, rng.randint(3, 5))]
    )
    order = sorted(chosen, key=lambda kind: kind.is_alone)
    plans = [kind.plan(rng, draft) for kind in order]
    lines = "\n".join(f"- {words}" for _, words in plans)
    which = "each" if len(plans) > 1 else "this"
    prompt = f"Please write a short text about {topic}. Follow {which} instruction:\n{lines}"
    return WritingTask(prompt, [kind.id for kind in order], [values for values, _ in plans], draft.text)


def _choose(rng: random.Random, level: int, kinds: Sequence[Kind]) -> list[Kind]:
    if level == 0:
        return [rng.choice([kind for kind in kinds if kind.is_easy])]
    if level == 1:
        return [rng.choice(kinds)]
    together = [kind for kind in kinds if not kind.is_alone]
    single = [kind for kind in kinds if kind.is_alone]
    alone = rng.sample(single, min(len(single), rng.randint(0, 1)))
    return alone + rng.sample(together, level - len(alone))
