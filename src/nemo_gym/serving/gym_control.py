"""Lists the servers of gyms in other processes, and stops such gyms."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import msgspec

from nemo_gym.runs.loop import run_async
from nemo_gym.serving.running_gyms import RunningGym, running_gyms
from nemo_gym.transport.exchange import Connections, NoAnswer
from nemo_gym.wire.errors import GymError


def servers_of(state: RunningGym) -> list[dict[str, Any]]:
    """The servers of a running gym, each with its health.

    Raises:
        GymError: its head server does not answer, or not with a list of servers.
    """
    return run_async(_servers_of(state))


async def _servers_of(state: RunningGym) -> list[dict[str, Any]]:
    token = state.token
    headers = {} if token is None else {"authorization": f"Bearer {token.reveal()}"}
    connections = Connections(state.head_url, headers=headers, direct=True)
    try:
        reply = await connections.exchange("GET", "/server_instances", within=10.0)
        return msgspec.json.decode(reply.content, type=list[dict[str, Any]])
    except (NoAnswer, msgspec.DecodeError) as error:
        what = f"process {state.pid} runs, but its head server at {state.head_url} doesn't answer: {error}"
        raise GymError(what) from None
    finally:
        await connections.aclose()


def end(state: RunningGym, folder: Path, *, within: float) -> bool:
    """Ask a gym to stop, and wait until it has stopped. Its child processes end with it.

    Args:
        folder: the folder of the running gyms.
        within: seconds after which it is killed.

    Returns:
        True if it stopped by itself.
    """
    _signal(state, signal.SIGTERM)
    if _has_ended(state, folder, within):
        return True
    _signal(state, signal.SIGKILL)
    _has_ended(state, folder, 5.0)
    return False


def _signal(state: RunningGym, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(state.pid, number)


def _runs(pid: int) -> bool:
    """Whether there is such a process. A zombie does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _has_ended(state: RunningGym, folder: Path, within: float) -> bool:
    give_up = monotonic() + within
    while any(one.pid == state.pid for one in running_gyms(folder)) or _runs(state.pid):
        if monotonic() > give_up:
            return False
        sleep(0.05)
    return True
