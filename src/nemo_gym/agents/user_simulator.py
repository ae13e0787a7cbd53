"""The simulated user: a second model talks with the policy until its goal is reached."""

from __future__ import annotations

from typing import Any

from nemo_gym.agents.side_model import SideModel, ask_side_model, open_side_model
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.agents.trajectory import Trajectory
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.wire.items import Item, assistant, message_text, system, user
from nemo_gym.wire.task import Row


class UserSimulator(ToolLoop):
    """Several turns with a user. In each the policy may call tools; what the user never sees are tool calls,
    their outputs and reasoning.

    The user's goal is the row's `user_instructions`, there or under `verifier_metadata`. A row whose input
    holds no user message is opened by the simulated user.

    Args:
        user: the model that plays the user.
        instructions: the user's goal for rows that name none.
        stop_word: what the user says when the conversation is over; that message is not part of the
            trajectory, because the policy never answers it.
        max_turns: user messages at most, the opening one included.
        user_tokens: tokens one user message may have.
        max_steps: model calls in one turn at most.
        tool_timeout: seconds one tool call may take.
        turn_timeout: seconds one model call may take, retries included.
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
        """The user's next message; None when the user is done."""
        items: list[Item] = [system(_ROLE.format(goal=goal or _NO_GOAL, stop_word=self.stop_word))]
        items.extend(_from_the_other_side(conversation))
        if len(items) == 1:
            items.append(user(_OPEN))
        text = await ask_side_model(self.user, {"input": items}, self.user_tokens)
        return None if not text or self.stop_word in text else text


def _goal(row: Row) -> str:
    metadata: dict[str, Any] = row.get("verifier_metadata") or {}
    return str(row.get(_GOAL_FIELD) or metadata.get(_GOAL_FIELD) or "")


def _from_the_other_side(items: list[Item]) -> list[Item]:
    """The visible conversation with user and assistant exchanged, for the model that plays the user."""
    swapped_items: list[Item] = []
    for item in items:
        if item["type"] == "message" and (text := message_text(item)):
            if item["role"] == "user":
                swapped_items.append(assistant(text))
            elif item["role"] == "assistant":
                swapped_items.append(user(text))
    return swapped_items


_GOAL_FIELD = "user_instructions"
_NO_GOAL = "Find out what the assistant can do for you."
_OPEN = "The assistant is listening. Say what you want, in one or two sentences."
_ROLE = """You are a person who talks with an assistant. You are not the assistant.

What you want and know:
{goal}

Speak as that person, in one short message at a time. Tell only what you are asked for or what is needed \
next, and never invent facts that are not written above. When you have what you want, or see that you can't \
get it, answer with {stop_word} and nothing else."""
