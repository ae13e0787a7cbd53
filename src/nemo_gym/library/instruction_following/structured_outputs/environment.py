"""Documents in five formats that conform to a JSON Schema, as text or as the arguments of a tool."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec

from nemo_gym import Reward, Session, Task, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import after_solved_tasks
from nemo_gym.library.instruction_following.structured_outputs.generation import SUBJECTS, document, sample
from nemo_gym.verifiers.documents import DocumentType, Schema, plain_value
from nemo_gym.verifiers.schema_conformance import check_document, check_value, read_schema
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import FunctionCall, Item
from nemo_gym.wire.params import FunctionTool, ask
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row

FORMATS: tuple[DocumentType, ...] = ("json", "yaml", "toml", "xml", "csv")
TOOL = "submit"


class DocumentTask(Task):
    """A schema and the form of the document."""

    schema_str: str
    schema_type: DocumentType = "json"
    response_mode: Literal["text", "tool_call"] = "text"
    tool_name: str | None = None
    tool_payload_key: str | None = None


class StructuredOutputs(Environment):
    """Write a JSON, YAML, XML, TOML or CSV document that conforms to a JSON Schema."""

    domain: ClassVar[str] = "instruction_following"
    stateless: ClassVar[bool | None] = True

    Task = DocumentTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """The size of the generated schemas: a few plain fields of JSON, then other formats and limits, then
        nested objects, patterns, and documents as arguments of a tool."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[DocumentTask]:
        return generate_tasks(self, self.make, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> DocumentTask:
        """Draw a task; at level 0 two solved ones come before it."""
        task = self.draw(rng)
        if self.config.level > 0:
            return task
        return after_solved_tasks(task, self.draw, lambda one: one.verifier_metadata["answer"])

    def draw(self, rng: random.Random) -> DocumentTask:
        """Draw a task without solved ones."""
        level: int = self.config.level
        by_tool = level == 4 and rng.random() < 0.3
        kind = "json" if level == 0 or by_tool else rng.choice(FORMATS)
        schema, value = sample(rng, level, kind)
        text = json.dumps(schema)
        how = (
            f"Submit it once with the tool {TOOL}, as its argument `document`."
            if by_tool
            else f"Answer with the {kind.upper()} document alone, without a code fence or other words."
        )
        prompt = (
            f"Describe {rng.choice(SUBJECTS)} in a {kind.upper()} document that conforms to this JSON "
            f"Schema. Every property is required, and no other is allowed.\n{text}\n{how}"
        )
        return DocumentTask(
            responses_create_params={**ask(prompt)},
            schema_str=text,
            schema_type=kind,
            response_mode="tool_call" if by_tool else "text",
            tool_name=TOOL if by_tool else None,
            tool_payload_key="document" if by_tool else None,
            verifier_metadata={"level": level, "answer": document(value, kind)},
        )

    @blocking
    def seed(self, task: DocumentTask, session: Session) -> None:
        """Refuse a row without a usable schema, and offer the tool of a row that has one.

        Raises:
            TaskUnfit: the schema is not usable, or a tool has no name.
        """
        schema = self.schema(task)
        if task.response_mode == "text":
            return
        if not task.tool_name:
            raise TaskUnfit("tool_name is missing, which response_mode tool_call needs")
        known = task.responses_create_params.get("tools") or ()
        if all(tool.get("name") != task.tool_name for tool in known):
            session.tools = [
                *session.tools,
                _tool(task.tool_name, _parameters(schema, task.tool_payload_key)),
            ]

    async def call_tool(self, call: FunctionCall, session: Session) -> str | None:
        if call["name"] != cast("DocumentTask", session.task).tool_name:
            return None
        session.state["is_submitted"] = True
        return "The document is submitted."

    @blocking
    def verify(self, task: DocumentTask, response: Response, session: Session) -> Reward:
        schema = self.schema(task)
        if task.response_mode == "text":
            text = strip_reasoning(response.final_text)
            result = check_document(text, task.schema_type, schema)
            return _reward(result.problem, result.detail, text.strip())
        return _check_call(task, response.function_calls, schema)

    def oracle(self, task: DocumentTask, session: Session) -> str | list[Item] | None:
        answer: str | None = task.verifier_metadata.get("answer")
        if task.response_mode == "text" or answer is None:
            return answer
        if session.state.get("is_submitted"):
            return "Done."
        arguments = f'{{"document": {answer}}}'
        return [{"type": "function_call", "call_id": "call_0", "name": TOOL, "arguments": arguments}]

    def compute_metrics(self, tasks: list[list[Row]]) -> dict[str, Any]:
        """The mean reward of each format and each response mode."""
        rewards: dict[str, list[float]] = {}
        for rows in tasks:
            for row in rows:
                for name in ("schema_type", "response_mode"):
                    if isinstance(row.get(name), str):
                        rewards.setdefault(row[name], []).append(float(row["reward"]))
        return {f"mean/reward_{name}": sum(values) / len(values) for name, values in sorted(rewards.items())}

    @staticmethod
    def schema(task: DocumentTask) -> Schema:
        """The strict schema of a row.

        Raises:
            TaskUnfit: the schema is not usable.
        """
        try:
            return read_schema(task.schema_str)
        except ValueError as error:
            raise TaskUnfit(f"schema_str: {error}") from None


def _tool(name: str, parameters: dict[str, Any]) -> FunctionTool:
    return {
        "type": "function",
        "name": name,
        "description": "Submit the document.",
        "parameters": parameters,
        "strict": False,
    }


def _parameters(schema: Schema, key: str | None) -> dict[str, Any]:
    if key is None:
        return dict(schema)
    return {"type": "object", "properties": {key: {"type": ["object", "array", "string"]}}, "required": [key]}


def _check_call(task: DocumentTask, calls: list[FunctionCall], schema: Schema) -> Reward:
    """Score a document that is the argument of exactly one call."""
    if len(calls) != 1:
        return _reward("multiple_tool_calls" if calls else "missing_tool_call", f"{len(calls)} calls", "")
    text = calls[0]["arguments"]
    if calls[0]["name"] != task.tool_name:
        return _reward("wrong_tool_name", calls[0]["name"][:200], text)
    try:
        payload = plain_value(msgspec.json.decode(text)) if len(text) <= 50_000 else None
    except (ValueError, RecursionError) as error:
        return _reward("tool_arguments_parse_error", str(error)[:200], text)
    if not isinstance(payload, dict):
        return _reward(
            "tool_arguments_parse_error", "the arguments are no JSON object of a possible size", text
        )
    arguments = cast("dict[str, Any]", payload)
    if task.tool_payload_key is None:
        result = check_value(arguments, schema)
    elif task.tool_payload_key not in arguments:
        return _reward("missing_tool_payload_key", task.tool_payload_key, text)
    else:
        value = arguments[task.tool_payload_key]
        is_text = isinstance(value, str)
        result = check_document(value, task.schema_type, schema) if is_text else check_value(value, schema)
    return _reward(result.problem, result.detail, text)


def _reward(problem: str | None, detail: str, answer: str) -> Reward:
    details = {
        "extracted_answer": answer[:200] or None,
        "reason": problem or "right",
        "error_type": problem,
        "error_message": detail,
    }
    return Reward(float(problem is None), details=details)
