"""Customer service as in tau2-bench: tools over a database, a policy, and a customer whom a model plays."""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

import msgspec

from nemo_gym import Response, Session, Step, StepEnvironment, Task
from nemo_gym.library.agent.tau2.domains import DOMAINS, Domain, World, load_tasks, policy, tools
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.items import Item, assistant, function_call
from nemo_gym.wire.params import RequestParams

STOP = "###STOP###"
ENDINGS = (STOP, "###TRANSFER###", "###OUT-OF-SCOPE###")
AGENT = """\
You are a customer service agent. Follow the policy below. In each turn, either call a tool or write to the
customer, never both. Do nothing that the policy does not allow.

{policy}"""
CUSTOMER = """\
You play a customer who writes to the customer service. Stay in the role that the scenario describes.
- Write one short message at a time, as a customer would, and nothing else.
- Tell only what the scenario says that you know, and only when it is asked for or needed. Invent nothing.
- Do not repeat the scenario word for word, and do not solve the agent's work.
- When your request is settled, write {stop} alone. When the agent says that it transfers you to a person,
  write {transfer} alone. When the scenario has no answer to what you need to say, write {scope} alone."""
GREETING = "Hi! How can I help you today?"
MAX_TEXT = 20_000
MOST_NUMBERS = 80
"""Different numbers in the agent's messages; a list of more is a guess."""


class Tau2(StepEnvironment):
    """Serve customers of an airline or a shop, with tools and under a policy; a model plays the customer."""

    domain = "agent"
    asks = ("user",)
    stateless = False
    max_steps = 100
    null_exception = "a sixth of the tasks expects no change of the data and no fact, as in tau2-bench"

    class Config(StepEnvironment.Config):
        domain: Domain | None = None
        """Only the tasks of this domain; None takes both."""

    class Task(Task):
        domain: Domain
        user_scenario: dict[str, Any]
        """What the customer knows and wants."""
        evaluation_criteria: dict[str, Any]
        """The actions that lead to the right data, and what the customer must be told."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        self.check_split(split, ("test",))
        names: list[Domain] = [self.config.domain] if self.config.domain else list(DOMAINS)
        tasks = [self.task_of(name, one) for name in names for one in load_tasks(name)]
        random.Random(seed).shuffle(tasks)
        return iter(tasks[:n])

    def task_of(self, name: Domain, task: dict[str, Any]) -> Task:
        """The task of a domain."""
        params: RequestParams = {
            "instructions": AGENT.format(policy=policy(name)),
            "input": [assistant(GREETING, id="msg_greeting")],
            "tools": tools(name),  # pyright: ignore[reportAssignmentType]  # plain function tools
        }
        return self.Task(
            task_id=f"{name}_{task['id']}",
            responses_create_params=dict(params),
            domain=name,
            user_scenario=task["user_scenario"],
            evaluation_criteria=task["evaluation_criteria"],
        )

    def seed(self, task: Task, session: Session) -> None:
        session.state["dialogue"] = [("customer service", GREETING)]

    async def reset(self, task: Task, session: Session) -> str | None:
        return await self.customer(session)

    async def step(self, action: Response, session: Session) -> Step:
        calls = [item for item in action.output if item["type"] == "function_call"]
        if calls:
            return Step(info={"tool_outputs": await asyncio.to_thread(self.run_tools, calls, session)})
        text = strip_reasoning(action.final_text).strip()[:MAX_TEXT]
        session.state["dialogue"].append(("customer service", text))
        message = await self.customer(session)
        if not any(ending in message for ending in ENDINGS):
            return Step(observation=message)
        return await asyncio.to_thread(self.end, session)

    def run_tools(self, calls: list[Any], session: Session) -> list[dict[str, str]]:
        """What the tools answer to the calls of one turn."""
        if "world" not in session.state:
            session.state["world"] = World(session.row["domain"])
        outputs: list[dict[str, str]] = []
        for call in calls:
            try:
                arguments = msgspec.json.decode(call["arguments"] or "{}", type=dict[str, Any])
            except (msgspec.DecodeError, RecursionError) as error:
                answer = f"Error: the arguments are not a JSON object: {error}"
            else:
                answer = session.state["world"].call(call["name"], arguments)
            outputs.append({"call_id": call["call_id"], "output": answer})
        return outputs

    def end(self, session: Session) -> Step:
        """The last step, with the reward. An agent that neither speaks nor acts earns nothing."""
        state, domain, criteria = session.state, session.row["domain"], session.row["evaluation_criteria"]
        facts: list[str] = criteria["communicate_info"] or []
        goal = digest_after(domain, json.dumps(criteria["actions"] or []))
        digest = state["world"].digest if "world" in state else digest_after(domain, "[]")
        messages = [text for speaker, text in state["dialogue"] if speaker == "customer service"]
        spoken = plain("\n".join(messages[1:]))
        parts = {
            "database": float(digest == goal),
            "communication": float(all(is_said(one, spoken) for one in facts)),
            "activity": float(bool(spoken.strip()) or "world" in state),
        }
        reward = min(parts.values())
        return Step(reward=reward, terminated=True, info={"checks": parts})

    async def customer(self, session: Session) -> str:
        """The customer's next message, from the model `user`."""
        scenario = json.dumps(session.row["user_scenario"], ensure_ascii=False, indent=1)
        rules = CUSTOMER.format(stop=ENDINGS[0], transfer=ENDINGS[1], scope=ENDINGS[2])
        dialogue = "\n\n".join(f"{speaker}: {text}" for speaker, text in session.state["dialogue"])
        prompt = f"The conversation so far:\n\n{dialogue}\n\nThe customer's next message:"
        text = await self.models["user"].text(prompt, instructions=f"{rules}\n\nScenario:\n{scenario}")
        session.state["dialogue"].append(("customer", text))
        return text

    def oracle(self, task: Task, session: Session) -> str | list[Item]:
        """The right actions one after the other, and then the facts for the customer."""
        actions = cast("list[dict[str, Any]]", task.evaluation_criteria["actions"] or [])
        done: int = session.state.setdefault("oracle", 0)
        session.state["oracle"] += 1
        if done < len(actions):
            action = actions[done]
            arguments = json.dumps(action["arguments"])
            return [function_call(action["name"], arguments, call_id=f"call_{done}")]
        return "It is done. " + ", ".join(task.evaluation_criteria["communicate_info"] or ())


def plain(text: str) -> str:
    """A text in lower case without the commas of numbers."""
    return text.lower().replace(",", "")


def is_said(fact: str, spoken: str) -> bool:
    """Whether a plain text says a fact in whole words, and is no list of numbers."""
    numbers = set(re.findall(r"\d+", spoken))
    return (
        len(numbers) <= MOST_NUMBERS
        and re.search(rf"(?<!\w){re.escape(plain(fact))}(?!\w)", spoken) is not None
    )


@lru_cache(1024)
def digest_after(domain: Domain, actions: str) -> str:
    """The hash of the data after the right actions, which are a JSON list."""
    world = World(domain)
    for action in json.loads(actions):
        world.call(action["name"], action["arguments"])
    return world.digest
