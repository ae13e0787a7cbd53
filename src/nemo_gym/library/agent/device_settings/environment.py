"""Operate a phone whose settings depend on each other; its state at the end decides."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec

from nemo_gym import Environment, Response, Reward, Session, Task, ask, generate_tasks, tool
from nemo_gym.environments.base import Config
from nemo_gym.environments.tool import bind_tools, is_tool_error
from nemo_gym.library.agent.device_settings.goals import Call, draw
from nemo_gym.library.agent.device_settings.phone import Level, Percent, Phone, Switch, Text
from nemo_gym.verifiers.end_state import differences
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, function_call

PROMPT: Final = """\
You operate a phone with tools. Do what the user wants. Where something that is on or off blocks it, change \
that too; change nothing else, and leave on what you had to turn on. Then say that it is done.

The user: {wishes}"""
Time = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]


class PhoneTask(Task):
    """A phone, and the calls that lead to its right state."""

    phone: Phone
    """The state at the start."""
    calls: Annotated[list[Call], msgspec.Meta(min_length=1, max_length=40)]


class DeviceSettings(Environment):
    """Operate a phone whose settings depend on each other, so that it ends in the right state."""

    domain = "agent"
    restorable = True
    stateless = False
    Task = PhoneTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """0: one wish that nothing blocks, with the call; 1: one that may need a switch; 2 to 4: as many,
        with the battery saver or the airplane mode on; from 3 on both."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.bound_tools = bind_tools(self)
        """The tools by name, for the right calls too."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[PhoneTask]:
        return generate_tasks(self, self.draw, _key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> PhoneTask:
        """A task of the level of the settings."""
        phone, wishes, calls = draw(rng, self.config.level)
        prompt = PROMPT.format(wishes=" ".join(wishes))
        if self.config.level == 0:
            prompt += f"\nCall {calls[0].name} with {calls[0].arguments}."
        return PhoneTask(responses_create_params=dict(ask(prompt)), phone=phone, calls=calls)

    async def seed(self, task: PhoneTask, session: Session) -> None:
        """Turn the phone on, and find out its right state at the end.

        Raises:
            TaskUnfit: a call of the row does not work, or they change nothing.
        """
        session.state["phone"] = copy_of(task.phone)
        right = session.state["right"] = await self.after(task.phone, task.calls)
        if not wrong_places(right, task.phone):
            raise TaskUnfit("calls: they change nothing")

    async def after(self, phone: Phone, calls: Iterable[Call]) -> Phone:
        """The phone after calls."""
        session = Session({}, Task(), id="right", seed=0, tools=[])
        session.state["phone"] = copy_of(phone)
        for number, one in enumerate(calls):
            bound = self.bound_tools.get(one.name)
            answer = await bound.call(session, one.arguments) if bound else "there is no such tool"
            if bound is None or is_tool_error(answer):
                raise TaskUnfit(f"calls[{number}]: {one.name} does not work: {answer}")
        return session.state["phone"]

    @tool
    def get_state(self, session: Session) -> dict[str, Any]:
        """Show what is on and off, the levels, the alarms and the connected devices."""
        state = msgspec.structs.asdict(phone_of(session))
        return {name: value for name, value in state.items() if name not in ("contacts", "sent", "shared")}

    @tool
    def find_contact(self, session: Session, name: Text) -> dict[str, str]:
        """Find the phone numbers of contacts whose names contain a text."""
        contacts = phone_of(session).contacts
        return {key: number for key, number in contacts.items() if name.lower() in key.lower()}

    @tool
    def set_switch(self, session: Session, name: Switch, on: bool) -> str:
        """Turn something on or off."""
        phone_of(session).switch(name, on)
        return f"{name} is {'on' if on else 'off'}."

    @tool
    def set_level(self, session: Session, name: Level, percent: Percent) -> str:
        """Set the brightness or the volume in percent."""
        phone_of(session).set_level(name, percent)
        return f"{name} is {percent}."

    @tool
    def send_message(self, session: Session, number: Text, text: Text) -> str:
        """Send a message to a phone number; it needs cellular."""
        phone_of(session).send(number, text)
        return "The message is sent."

    @tool
    def share_location(self, session: Session, number: Text) -> str:
        """Share the location with a phone number; it needs location and cellular."""
        phone_of(session).share(number)
        return "The location is shared."

    @tool
    def add_alarm(self, session: Session, time: Time) -> str:
        """Set an alarm at a time, such as 07:30."""
        phone_of(session).add_alarm(time)
        return f"There is an alarm at {time}."

    @tool
    def remove_alarm(self, session: Session, time: Time) -> str:
        """Delete the alarm at a time."""
        phone_of(session).remove_alarm(time)
        return f"The alarm at {time} is deleted."

    @tool
    def connect_device(self, session: Session, device: Text) -> str:
        """Connect a device; it needs bluetooth."""
        phone_of(session).pair(device)
        return f"The {device} is connected."

    def verify(self, task: PhoneTask, response: Response, session: Session) -> Reward:
        wrong = wrong_places(session.state["right"], phone_of(session))
        reason = "wrong_state" if wrong else "right"
        return Reward(float(not wrong), details={"extracted_answer": None, "reason": reason, "wrong": wrong})

    def oracle(self, task: PhoneTask, session: Session) -> str | list[Item]:
        """The right calls one after the other."""
        turn: int = session.state.get("oracle_turn", 0)
        session.state["oracle_turn"] = turn + 1
        if turn < len(task.calls):
            return [function_call(task.calls[turn].name, task.calls[turn].arguments, call_id=f"call_{turn}")]
        return "That is done."


def phone_of(session: Session) -> Phone:
    """The phone of a session."""
    return session.state["phone"]


def copy_of(phone: Phone) -> Phone:
    """A copy that shares nothing."""
    return msgspec.convert(msgspec.to_builtins(phone), Phone)


def wrong_places(right: Phone, phone: Phone) -> list[str]:
    """Where the state differs from the right one; texts of messages must be the same to the letter."""
    states = msgspec.to_builtins(right), msgspec.to_builtins(phone)
    return differences(*states, case_sensitive=("sent",), unordered=("sent", "shared", "alarms", "paired"))


def _key(task: PhoneTask) -> str:
    return str(task.responses_create_params["input"])
