"""The simulated user: a second model talks with the policy until it has what it wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nemo_gym.agents.side_model import SideModel, ask_side_model, open_side_model
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.agents.trajectory import Trajectory
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.wire import keys
from nemo_gym.wire.items import Item, assistant, message_text, system, user
from nemo_gym.wire.task import Row


class UserSimulator(ToolLoop):
    """Several turns with a user. In each turn the policy may call tools. The user does not see tool calls,
    their outputs or reasoning.

    The user's goal is `user_instructions`, in the row or in its `verifier_metadata`. When the row's input has
    no user message, the simulated user writes the first one.

    Args:
        user: the model that plays the user.
        instructions: the user's goal for rows without one.
        stop_word: the word in a message that ends the conversation. That message is not part of the
            trajectory, because the policy does not answer it.
        max_turns: the most user messages, with the first one.
        user_tokens: the most tokens of one user message.
        max_steps: the most model calls in one turn.
        tool_timeout: the most seconds of one tool call.
        turn_timeout: the most seconds of one model call with its retries.
    """

    def __init__(
        self,
        *,
        user: SideModel,
        instructions: str = "",
        stop_word: str = "[DONE]",
        max_turns: int = 8,
        user_tokens: int = 512,
        max_steps: int = 32,
        tool_timeout: float = 60.0,
        turn_timeout: float | None = None,
    ) -> None:
        super().__init__(max_steps=max_steps, tool_timeout=tool_timeout, turn_timeout=turn_timeout)
        self.user = open_side_model(user)
        self.instructions = instructions
        self.stop_word = stop_word
        self.max_turns = max_turns
        self.user_tokens = user_tokens

    async def act(self, trajectory: Trajectory, session: Session, environment: EnvironmentLink) -> str:
        goal = _goal(trajectory.row) or self.instructions
        turns = sum(item["type"] == "message" and item["role"] == "user" for item in trajectory.opening)
        if not turns:
            opening = await self._reply(goal, [])
            if opening is None:
                return "completed"
            trajectory.open_with(user(opening))
            turns = 1
        while True:
            outcome = await super().act(trajectory, session, environment)
            if outcome != "completed":
                return outcome
            if turns >= self.max_turns:
                return "max_turns"
            reply = await self._reply(goal, [*trajectory.opening, *trajectory.items])
            if reply is None:
                return "completed"
            trajectory.items.append(user(reply))
            turns += 1

    async def aclose(self) -> None:
        await self.user.aclose()

    async def _reply(self, goal: str, conversation: list[Item]) -> str | None:
        """The user's next message; None when the conversation is over."""
        items: list[Item] = [system(_ROLE.format(goal=goal or _NO_GOAL, stop_word=self.stop_word))]
        items.extend(_from_the_other_side(conversation))
        if len(items) == 1:
            items.append(user(_OPEN))
        text = await ask_side_model(self.user, {"input": items}, self.user_tokens)
        return None if not text or self.stop_word in text else text


def _goal(row: Row) -> str:
    metadata: dict[str, Any] = row.get(keys.VERIFIER_METADATA) or {}
    return str(row.get(_GOAL_FIELD) or metadata.get(_GOAL_FIELD) or "")


def _from_the_other_side(items: list[Item]) -> list[Item]:
    """The visible conversation with user and assistant exchanged, for the model that plays the user."""
    others: dict[str, Callable[[str], Item]] = {"user": assistant, "assistant": user}
    return [
        others[item["role"]](text)
        for item in items
        if item["type"] == "message" and item["role"] in others and (text := message_text(item))
    ]


_GOAL_FIELD = "user_instructions"
_NO_GOAL = "Find out what the assistant can do for you."
_OPEN = "The assistant is listening. Say what you want, in one or two sentences."
_ROLE = """You are a person who talks with an assistant. You are not the assistant.

What you want and know:
{goal}

Speak as that person, in one short message at a time. Tell only what you are asked for or what is needed \
next, and never invent facts that are not written above. When you have what you want, or see that you can't \
get it, answer with {stop_word} and nothing else."""
