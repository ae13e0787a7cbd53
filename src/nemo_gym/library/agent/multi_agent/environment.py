"""Negotiate or play against another side, which is a script or a model; each side has its own reward."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

import msgspec

from nemo_gym import Response, Session, Step, StepEnvironment, Task, ask, generate_tasks
from nemo_gym.library.agent.multi_agent.drawing import NAMES, Name, draw_game
from nemo_gym.library.agent.multi_agent.games import PASS, AnyGame, Matrix, Move, Price, Split
from nemo_gym.verifiers.text import last_tagged, strip_reasoning

MAX_TEXT: Final = 2000
"""The most characters of an answer that the other side sees."""


class GameTask(Task):
    """A game with the private values of both sides."""

    game: Price | Split | Matrix


class MultiAgent(StepEnvironment):
    """Negotiate a price, split goods or play a matrix game; each side has its own reward and trajectory."""

    domain = "agent"
    asks = ("opponent",)
    stateless = False
    max_steps = 8
    Task = GameTask

    class Config(StepEnvironment.Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """More rounds, more things, and scripts that are harder to read."""
        game: Name | None = None
        """Only this game; None takes all three."""
        other_side: Literal["script", "model"] = "script"
        """Who plays the other side; `model` asks the model named `opponent`."""

    def needed_models(self) -> Iterable[str]:
        return self.asks if self.config.other_side == "model" else ()

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[GameTask]:
        return generate_tasks(self, self.draw, _prompt, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> GameTask:
        """A game of the level of the settings."""
        game = draw_game(rng, self.config.game or rng.choice(NAMES), self.config.level)
        return GameTask(responses_create_params=dict(ask(game.rules(0))), game=game)

    def reset(self, task: GameTask, session: Session) -> None:
        """Begin a game.

        Raises:
            TaskUnfit: the values make no game.
        """
        task.game.check()
        session.state.update(past=[], texts=[])

    async def step(self, action: Response, session: Session) -> Step:
        task, past, texts = session.task, session.state["past"], session.state["texts"]
        assert isinstance(task, GameTask)
        game = task.game
        text = strip_reasoning(action.final_text)
        move = move_in(text, game)
        past.append([move])
        texts.append([text[:MAX_TEXT]])
        if rewards := game.rewards(past):
            return end(rewards, session)
        answer, words = await self.opponent(game, session)
        past[-1].append(answer)
        texts[-1].append(words)
        if rewards := game.rewards(past):
            return end(rewards, session)
        left = game.rounds - len(past)
        return Step(
            f"You: {move.text}. The other side: {answer.text}. Rounds left: {left}.\n{words}".rstrip()
        )

    async def opponent(self, game: AnyGame, session: Session) -> tuple[Move, str]:
        """The opponent's move, and its words, which a script lacks."""
        past: list[list[Move]] = session.state["past"]
        if self.config.other_side == "script":
            return game.scripted(past, past[-1][0], len(past) - 1), ""
        prompt = dialogue(game, session)
        answer = await self.models["opponent"].text(prompt, instructions=game.rules(1))
        text = strip_reasoning(answer)
        move = move_in(text, game)
        if move == PASS and isinstance(game, Matrix):
            move = Move("play", (1,), "B")  # Its mistake must not end the model's game.
        return move, text[:MAX_TEXT]

    def oracle(self, task: GameTask, session: Session) -> str:
        """The best course against the script."""
        return f"<action>{task.game.best(len(session.state['past']))}</action>"


def move_in(text: str, game: AnyGame) -> Move:
    """The move that an answer says: its only action, with which it must end."""
    text = text.strip()
    action = last_tagged(text, "action")
    if action is None or text.count("<action>") != 1 or not text.endswith("</action>"):
        return PASS
    return game.read(action)


def dialogue(game: AnyGame, session: Session) -> str:
    """What the opponent sees: the rounds so far, and in a negotiation the model's present answer."""
    lines: list[str] = []
    for round, (moves, texts) in enumerate(
        zip(session.state["past"], session.state["texts"], strict=True), 1
    ):
        if len(moves) == 2 or not isinstance(game, Matrix):
            lines.append(f"Round {round}. The other side: {moves[0].text}. It says: {texts[0]}")
        if len(moves) == 2:
            lines.append(f"You: {moves[1].text}.")
    return "\n".join([*lines, "Your answer:"])


def end(rewards: tuple[float, float], session: Session) -> Step:
    """The last step, with each side's reward and trajectory apart."""
    past: list[list[Move]] = session.state["past"]
    texts: list[list[str]] = session.state["texts"]
    sides: dict[str, Any] = {}
    for side, name in enumerate(("model", "opponent")):
        course = [
            {"round": number, "action": moves[side].text, "text": words[side]}
            for number, (moves, words) in enumerate(zip(past, texts, strict=True), 1)
            if len(moves) > side
        ]
        sides[name] = {"reward": rewards[side], "trajectory": course}
    deal = past[-1][-1].kind
    info = {
        "sides": sides,
        "extracted_answer": past[-1][0].text,
        "reason": _REASONS.get(deal, "no_agreement"),
    }
    return Step(reward=rewards[0], terminated=True, info=info)


_REASONS: Final = {"accept": "agreement", "play": "all_rounds", "leave": "left"}


def _prompt(task: GameTask) -> str:
    return task.game.rules(0)
