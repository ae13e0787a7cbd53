"""Questions about a graph that is a long list of edges: searches in breadth and parents of a node."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterator
from typing import Annotated, Any, ClassVar, Final, cast

import msgspec

from nemo_gym import Reward, Session, Task, ask, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import after_solved_tasks
from nemo_gym.verifiers.text import last_nonempty_line, strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.response import Response

NODES: Final = (6, 12, 40, 150, 600)
"""Nodes of the generated graphs at each level; there are about twice as many edges."""
PROBLEM_TYPES: Final = ("bfs", "parents")
MARKER: Final = "Final Answer:"


class GraphwalksTask(Task):
    """The nodes that the answer must name."""

    expected_answer: str | list[str]
    """A list, or the JSON text of one."""
    problem_type: str = ""


class Graphwalks(Environment):
    """Walk through a graph that is given as a long list of edges, and name the nodes that are reached."""

    domain: ClassVar[str] = "long_context"
    stateless: ClassVar[bool | None] = True
    answer_key: ClassVar[str | None] = "extracted_answer"

    Task = GraphwalksTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """Graphs of 6, 12, 40, 150 or 600 nodes, in 500 to 27,000 characters. At level 0 two solved tasks
        come first."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[GraphwalksTask]:
        return generate_tasks(self, self.make, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> GraphwalksTask:
        """Draw a task; at level 0 two solved ones come before it."""
        task = self.draw(rng)
        return task if self.config.level > 0 else after_solved_tasks(task, self.draw, right_answer)

    def draw(self, rng: random.Random) -> GraphwalksTask:
        """Draw a graph and a question about it that has an answer, without solved ones."""
        level: int = self.config.level
        count = NODES[level]
        names = [f"{rng.getrandbits(32):08x}" for _ in range(count)]
        edges = list(dict.fromkeys(tuple(rng.sample(names, 2)) for _ in range(2 * count)))
        kind = rng.choice(PROBLEM_TYPES)
        if kind == "parents":
            node = rng.choice([edge[1] for edge in edges])
            question = f"Find all parents of {node}: the nodes with an edge to it."
            answer = sorted({source for source, target in edges if target == node})
        else:
            node = rng.choice([edge[0] for edge in edges])
            depth = rng.randint(1, 1 + level // 2)
            question = (
                f"Search in breadth from {node}, along the direction of the edges. Which nodes have a "
                f"shortest path from it of exactly {depth} edge{'s' * (depth > 1)}?"
            )
            answer = sorted(nodes_at_depth(edges, node, depth))
        if not answer:
            return self.draw(rng)
        return GraphwalksTask(
            responses_create_params={**ask(prompt(edges, question))},
            expected_answer=json.dumps(answer),
            problem_type=kind,
        )

    def seed(self, task: GraphwalksTask, session: Session) -> None:
        """Refuse a row whose answer is not a list of names.

        Raises:
            TaskUnfit: with the reason.
        """
        expected_nodes(task)

    @blocking
    def verify(self, task: GraphwalksTask, response: Response, session: Session) -> Reward:
        expected, answer = expected_nodes(task), nodes_in(response.final_text)
        details: dict[str, Any] = {"extracted_answer": answer and ", ".join(answer)[:2000]}
        if answer is None:
            return Reward(0.0, details={**details, "reason": "no_answer"})
        score = f1(set(answer), expected)
        return Reward(
            score, details={**details, "reason": {1.0: "right", 0.0: "wrong"}.get(score, "partly_right")}
        )

    def oracle(self, task: GraphwalksTask, session: Session) -> str:
        return right_answer(task)


def right_answer(task: GraphwalksTask) -> str:
    """The nodes that a row expects."""
    return f"{MARKER} [{', '.join(sorted(expected_nodes(task)))}]"


def prompt(edges: Collection[tuple[str, ...]], question: str) -> str:
    """The graph and the question."""
    lines = "\n".join(f"{source} -> {target}" for source, target in edges)
    return (
        f"Here is a directed graph, as a list of its edges.\n{lines}\n\n{question} The order doesn't matter. "
        f"End your answer with one line of this form:\n{MARKER} [node, node, ...]"
    )


def nodes_at_depth(edges: Collection[tuple[str, ...]], start: str, depth: int) -> set[str]:
    """The nodes whose shortest path from `start` has so many edges."""
    following: dict[str, list[str]] = {}
    for source, target in edges:
        following.setdefault(source, []).append(target)
    seen, layer = {start}, {start}
    for _ in range(depth):
        layer = {target for node in layer for target in following.get(node, ())} - seen
        seen |= layer
    return layer


def nodes_in(text: str) -> list[str] | None:
    """The nodes that the last line lists; None when it has another form."""
    line = last_nonempty_line(strip_reasoning(text)).strip("*` ")
    if not line.startswith(MARKER):
        return None
    listing = line.removeprefix(MARKER).strip("*` ")
    if not (listing.startswith("[") and listing.endswith("]")):
        return None
    if any(bracket in listing[1:-1] for bracket in "[]"):
        return None
    names = (name.strip(" \t'\"") for name in listing[1:-1].split(","))
    return [name for name in names if name]


def f1(answer: set[str], expected: set[str]) -> float:
    """The harmonic mean of precision and recall; 1 when both sets are empty."""
    if not answer and not expected:
        return 1.0
    return 2 * len(answer & expected) / (len(answer) + len(expected))


def expected_nodes(task: GraphwalksTask) -> set[str]:
    """The nodes of a row.

    Raises:
        TaskUnfit: they are no list of names.
    """
    value: object = task.expected_answer
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.MsgspecError, UnicodeEncodeError):
            raise TaskUnfit("expected_answer is not the JSON text of a list") from None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[object]", value)):
        raise TaskUnfit("expected_answer is not a list of names")
    return set(cast("list[str]", value))
