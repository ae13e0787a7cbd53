"""An office with 27 tools; what counts is the state in which the assistant leaves it."""

from collections.abc import Iterable
from functools import cached_property
from typing import Final

import msgspec

from nemo_gym.environments.base import Environment
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import BoundTool, bind_tools
from nemo_gym.library.agent.workplace_assistant.analytics import AnalyticsTools
from nemo_gym.library.agent.workplace_assistant.calendar import CalendarTools
from nemo_gym.library.agent.workplace_assistant.customers import CustomerTools
from nemo_gym.library.agent.workplace_assistant.directory import DirectoryTools
from nemo_gym.library.agent.workplace_assistant.email import EmailTools
from nemo_gym.library.agent.workplace_assistant.projects import ProjectTools
from nemo_gym.library.agent.workplace_assistant.state import Office
from nemo_gym.library.agent.workplace_assistant.tasks import SPLITS, generate
from nemo_gym.verifiers.text import last_nonempty_line, strip_reasoning
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item, function_call
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Row, Task

CHANGING_TOOLS: Final = frozenset(
    {
        "email_send_email",
        "email_delete_email",
        "email_forward_email",
        "email_reply_email",
        "calendar_create_event",
        "calendar_delete_event",
        "calendar_update_event",
        "analytics_create_plot",
        "project_management_create_task",
        "project_management_delete_task",
        "project_management_update_task",
        "customer_relationship_manager_update_customer",
        "customer_relationship_manager_add_customer",
        "customer_relationship_manager_delete_customer",
    }
)
"""All other tools only look things up, so a replay leaves them out."""


class Call(msgspec.Struct):
    """A tool call; `arguments` is a JSON object as text."""

    name: str
    arguments: str


class WorkplaceAssistant(
    DirectoryTools, EmailTools, CalendarTools, AnalyticsTools, ProjectTools, CustomerTools, Environment
):
    """Do office work with 27 tools over email, calendar, web analytics, project tasks and customers."""

    domain = "agent"
    stateless = True

    class Task(Task):
        ground_truth: list[Call]
        """Calls that lead to the wanted state."""
        expected_text: str | None = None
        """The last line of the answer to a question, for tasks that change nothing."""
        category: str | None = None

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[Row]:
        if split not in SPLITS:
            raise UsageError(f"environment {self.name()} has no split {split!r}; it has {', '.join(SPLITS)}")
        return generate(split, seed, n)

    def seed(self, task: Task, session: Session) -> None:
        session.state["office"] = Office()

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        expected = await self._replay(task.ground_truth)
        calls = [Call(call["name"], call["arguments"]) for call in response.function_calls]
        reached = await self._replay(calls)
        wrong = expected.differing_tables(reached)
        answered = task.expected_text is None or _answers(response.final_text, task.expected_text)
        return Reward(float(answered and not wrong), details={"wrong_tables": wrong})

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        turn: int = session.state.get("oracle_turn", 0)
        session.state["oracle_turn"] = turn + 1
        if turn < len(task.ground_truth):
            call = task.ground_truth[turn]
            return [function_call(call.name, call.arguments, call_id=f"call_{turn}")]
        return task.expected_text or "That is done."

    @cached_property
    def _changing_tools(self) -> dict[str, BoundTool]:
        return {name: tool for name, tool in bind_tools(self).items() if name in CHANGING_TOOLS}

    async def _replay(self, calls: Iterable[Call]) -> Office:
        """The office after these calls; one that does not work changes nothing."""
        session = Session({}, Task(), id="replay", seed=0, tools=[])
        office = session.state["office"] = Office()
        for call in calls:
            tool = self._changing_tools.get(call.name)
            if tool is not None:
                await tool.call(session, call.arguments)
        return office


def _answers(text: str, expected: str) -> bool:
    answer = last_nonempty_line(strip_reasoning(text)).strip(" *`.")
    return answer.lower() == expected.lower()
