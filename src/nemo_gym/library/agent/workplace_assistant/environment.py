"""An office with 27 tools; the reward depends on the office's state at the end."""

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
"""The other tools only look things up, so a replay leaves them out."""


class Call(msgspec.Struct):
    """A tool call; `arguments` is a JSON object as text."""

    name: str
    arguments: str


class WorkplaceAssistant(
    DirectoryTools, EmailTools, CalendarTools, AnalyticsTools, ProjectTools, CustomerTools, Environment
):
    """Do office work with 27 tools over email, calendar, web analytics, project tasks and customers."""

    domain = "agent"
    restorable = True
    stateless = True

    class Task(Task):
        ground_truth: list[Call]
        """Calls that lead to the right state."""
        expected_text: str | None = None
        """The last line of the right answer, for questions."""
        category: str | None = None

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[Row]:
        self.check_split(split, SPLITS)
        return generate(split, seed, n)

    def seed(self, task: Task, session: Session) -> None:
        session.state["office"] = Office()

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        right_office = await self.replay(task.ground_truth)
        calls = [Call(call["name"], call["arguments"]) for call in response.function_calls]
        wrong_tables = right_office.differing_tables(await self.replay(calls))
        right = not wrong_tables
        if task.expected_text is not None:
            answer = last_nonempty_line(strip_reasoning(response.final_text)).strip(" *`.")
            right = right and answer.lower() == task.expected_text.lower()
        return Reward(float(right), details={"wrong_tables": wrong_tables})

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        turn: int = session.state.get("oracle_turn", 0)
        session.state["oracle_turn"] = turn + 1
        if turn < len(task.ground_truth):
            call = task.ground_truth[turn]
            return [function_call(call.name, call.arguments, call_id=f"call_{turn}")]
        return task.expected_text or "That is done."

    @cached_property
    def changing_tools(self) -> dict[str, BoundTool]:
        """The tools that change the office, by name."""
        return {name: tool for name, tool in bind_tools(self).items() if name in CHANGING_TOOLS}

    async def replay(self, calls: Iterable[Call]) -> Office:
        """The office after these calls; a call that fails changes nothing."""
        session = Session({}, Task(), id="replay", seed=0, tools=[])
        office = session.state["office"] = Office()
        for call in calls:
            if call.name in self.changing_tools:
                await self.changing_tools[call.name].call(session, call.arguments)
        return office
