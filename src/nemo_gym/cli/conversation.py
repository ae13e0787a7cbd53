"""One rollout as a conversation that a person can read."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from nemo_gym.cli.console import Console
from nemo_gym.cli.output import duration, number, print_json
from nemo_gym.wire import keys
from nemo_gym.wire.items import Item, message_text
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import input_items
from nemo_gym.wire.rollout import Rollout

_STYLES = {"system": "dim", "developer": "dim", "user": "cyan", "assistant": "green"}


def print_rollout(rollout: Rollout, *, as_json: bool = False) -> None:
    """Print the conversation, and then the reward with its details, to standard output."""
    if as_json:
        print_json(rollout.to_row())
        return
    console = Console()
    attempt = f" · attempt {rollout.attempt + 1}" if rollout.attempt else ""
    console.print(f"task {rollout.task_index} · repeat {rollout.rollout_index}{attempt}\n", style="bold")
    output = rollout.response.output if rollout.response is not None else []
    for item in [*input_items(rollout.row[keys.PARAMS]), *output]:
        _print_item(console, item)
    for name, value in verdict(rollout):
        console.print(Text.assemble((f"{name:<12}", "bold"), f" {value}"), soft_wrap=True)


def verdict(rollout: Rollout) -> list[tuple[str, str]]:
    """The reward or the failure of a rollout, and its other columns, as names and values."""
    lines: list[tuple[str, str]] = []
    if rollout.failure is not None:
        lines.append(("failed", f"{rollout.failure.failure_class}: {rollout.failure}"))
        lines += [("", line) for line in (rollout.failure.traceback or "").splitlines()]
    elif rollout.reward is not None:
        lines.append(("reward", number(rollout.reward)))
        lines += [(f"  {name}", number(part)) for name, part in (rollout.components or {}).items()]
    lines.append(("outcome", rollout.outcome))
    hidden_keys = {keys.PARAMS, keys.AGENT_REF, keys.TASK_INDEX, keys.ROLLOUT_INDEX, keys.ATTEMPT_INDEX}
    columns = {**rollout.row, **rollout.details}
    lines += [(key, _short(value)) for key, value in columns.items() if key not in hidden_keys]
    usage = rollout.response.usage if rollout.response is not None else None
    if usage:
        lines.append(("tokens", f"{usage['input_tokens']:,} in, {usage['output_tokens']:,} out"))
    if "total_s" in rollout.timing:
        lines.append(("time", duration(rollout.timing["total_s"])))
    return lines


def _print_item(console: Console, item: Item) -> None:
    kind = item.get("type", "message")
    fields: dict[str, Any] = dict(item)
    if kind == "message":
        role = fields["role"]
        _print_block(console, role, message_text(item), _STYLES.get(role, ""))  # type: ignore[arg-type]
    elif kind == "reasoning":
        text = "\n".join(part.get("text", "") for part in fields["summary"])
        _print_block(console, "reasoning", text, "dim italic")
    elif kind == "function_call":
        _print_block(console, "tool call", f"{fields['name']}({fields['arguments']})", "yellow")
    elif kind == "function_call_output":
        output = fields["output"]
        _print_block(console, "tool output", output if isinstance(output, str) else _short(output), "magenta")
    else:
        _print_block(console, kind, _short(fields), "dim")


def _print_block(console: Console, label: str, text: str, style: str) -> None:
    console.print(label, style="bold")
    console.print(text or "(empty)", style=style)
    console.print()


def _short(value: object, limit: int = 400) -> str:
    text = value if isinstance(value, str) else encode(value).decode()
    return text if len(text) <= limit else text[:limit] + " ..."
