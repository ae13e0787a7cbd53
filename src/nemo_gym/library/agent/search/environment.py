"""Search a library of a fictional world, and answer with citations."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from nemo_gym import (
    Environment,
    Response,
    Reward,
    Session,
    Task,
    ToolError,
    ask,
    blocking,
    generate_tasks,
    tool,
)
from nemo_gym.environments.base import Config
from nemo_gym.library.agent.search.world import WORLDS, Entity, draw_chain, follow, question_of, world
from nemo_gym.verifiers.exact import extract_answer, normalize
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, function_call

HITS: Final = 5
_MAX_WORDS: Final = 20


class SearchTask(Task):
    """A question about a world."""

    world: Annotated[int, msgspec.Meta(ge=0, lt=WORLDS)]
    question: str
    start: str
    """The id of the first document of the chain of facts."""
    relations: Annotated[list[str], msgspec.Meta(min_length=1, max_length=8)]
    """From document to document, and at last to the answer."""
    expected_answer: str
    shown: list[str] = []
    """Documents that the prompt shows, which count as opened."""


class Search(Environment):
    """Answer questions about a fictional world from its searchable library, and cite the documents."""

    domain = "agent"
    stateless = True
    answer_key = "extracted_answer"
    Task = SearchTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """The number of facts on the way to the answer; at level 0 the prompt shows the only document."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[SearchTask]:
        return generate_tasks(self, self.draw, key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> SearchTask:
        """A task of the level of the settings."""
        number, level = rng.randrange(WORLDS), self.config.level
        chain = draw_chain(rng, number, max(1, level))
        relations = list(chain.relations)
        path, answer = follow(number, chain.start, relations)
        question = question_of(path[0], chain.relations)
        shown = [path[0]] if level == 0 else []
        return SearchTask(
            responses_create_params=dict(ask(prompt(question, shown))),
            world=number,
            question=question,
            start=chain.start,
            relations=relations,
            expected_answer=answer,
            shown=[entity.id for entity in shown],
        )

    @blocking
    def seed(self, task: SearchTask, session: Session) -> None:
        """Build the world at its first use, and refuse a row whose answer is not that of the world."""
        evidence(task)

    @tool
    def search(self, session: Session, query: str) -> list[dict[str, str]]:
        """Find documents of the library; it returns the ids and titles of the best five.

        Args:
            query: Words of the title or the text.
        """
        words = "".join(each if each.isalnum() else " " for each in query[:500]).split()[:_MAX_WORDS]
        if not words:
            raise ToolError("The query has no word.")
        hits = world(session.row["world"]).search(words, HITS)
        return [{"id": entity.id, "title": entity.name} for entity in hits]

    @tool
    def open_document(self, session: Session, id: str) -> str:
        """Return the text of a document.

        Args:
            id: Its id, such as `d12`.
        """
        entity = world(session.row["world"]).entities.get(id)
        if entity is None:
            raise ToolError("There is no document with this id.")
        return f"{entity.name} [{entity.id}]\n{entity.text}"

    @blocking
    def verify(self, task: SearchTask, response: Response, session: Session) -> Reward:
        required = evidence(task)
        answer = extract_answer(response.final_text, "final_answer")
        cited = citations(response.final_text)
        opened = {*task.shown, *opened_documents(response)}
        reason = "right"
        if answer is None:
            reason = "no_answer"
        elif normalize(answer) != normalize(task.expected_answer) or "?" in answer:
            reason = "wrong"
        elif required[-1].id not in cited:
            reason = "fact_not_cited"
        elif not cited <= {entity.id for entity in required}:
            reason = "foreign_citation"
        elif not cited <= opened:
            reason = "cited_unopened"
        details = {
            "extracted_answer": answer and answer[:200],
            "reason": reason,
            "citations": sorted(cited)[:20],
        }
        return Reward(float(reason == "right"), details=details)

    def oracle(self, task: SearchTask, session: Session) -> str | list[Item]:
        turn: int = session.state.get("oracle_turn", 0)
        session.state["oracle_turn"] = turn + 1
        path = evidence(task)
        if turn < 2 * len(path):
            entity = path[turn // 2]
            name, arguments = (
                ("open_document", {"id": entity.id}) if turn % 2 else ("search", {"query": entity.name})
            )
            return [function_call(name, json.dumps(arguments), call_id=f"call_{turn}")]
        return f"Sources: {', '.join(entity.id for entity in path)}\nAnswer: {task.expected_answer}"


def evidence(task: SearchTask) -> list[Entity]:
    """The documents with the facts of a task, in their order.

    Raises:
        TaskUnfit: the row does not fit its world.
    """
    try:
        path, answer = follow(task.world, task.start, task.relations)
    except KeyError as error:
        raise TaskUnfit(f"start and relations do not fit world {task.world}: there is no {error}") from None
    if answer != task.expected_answer:
        raise TaskUnfit(f"expected_answer {task.expected_answer[:80]!r} is not that of world {task.world}")
    return path


def opened_documents(response: Response) -> set[str]:
    """The ids in the calls of `open_document`."""
    ids: set[str] = set()
    for call in response.function_calls:
        if call["name"] == "open_document":
            try:
                ids.add(msgspec.json.decode(call["arguments"], type=dict[str, str]).get("id", ""))
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                continue
    return ids


def citations(text: str) -> set[str]:
    """The ids on the last line that begins with `Sources:`."""
    lines = [line.strip(" *`") for line in strip_reasoning(text).splitlines()]
    sources = [line for line in lines if line[:8].lower() == "sources:"]
    return (
        set(sources[-1][8:].replace(",", " ").replace("[", " ").replace("]", " ").split())
        if sources
        else set()
    )


def key(task: SearchTask) -> str:
    """What makes a task a different one: its world and question."""
    return f"{task.world}: {task.question}"


def prompt(question: str, shown: list[Entity]) -> str:
    """The question and the form of the answer."""
    documents = "".join(f"{entity.name} [{entity.id}]\n{entity.text}\n\n" for entity in shown)
    how = (
        "You have opened this document:\n\n"
        if shown
        else "Search the library and open the documents that hold the facts. "
    )
    return (
        f"Answer a question about a fictional world from its library. {how}{documents}"
        f"Question: {question}\n\n"
        "End with two lines: the ids of the opened documents that hold the facts, and the answer alone.\n"
        "Sources: d1, d2\nAnswer: ..."
    )
