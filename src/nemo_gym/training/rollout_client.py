"""The client of a rollout service."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping
from time import monotonic
from typing import Any, Final, Self

import msgspec

from nemo_gym.support.finishing import finish
from nemo_gym.transport.exchange import Connections, NoAnswer, Timeouts, base_url
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.rollout import Rollout

TOKEN_VARIABLE: Final = "NEMO_GYM_SERVER_TOKEN"
_PAUSES: Final = (0.1, 0.2, 0.5, 1.0, 2.0)


class ServiceGone(GymError):
    """The rollout service can't be reached, and was not for longer than the client waits."""


class BatchFailed(GymError):
    """The service could not go on with a batch, for instance because its disk is full. Its groups so far can
    be read; the same order again lets it go on."""


class GroupOfRollouts(msgspec.Struct, frozen=True):
    """All repeats of a task."""

    seq: int
    """Its place in the order in which the groups of the batch were finished, from 1."""
    id: str
    group: int
    """The place of its task in the batch, from 0."""
    rollouts: list[Rollout]


class RolloutClient:
    """Orders batches and reads their groups. It connects again when the service was restarted, and gets no
    group twice.

    Args:
        url: of the service, such as `http://127.0.0.1:9100`.
        token: sent as a bearer token; by default the value of `NEMO_GYM_SERVER_TOKEN`.
        patience: seconds for which a service that is gone is tried again.
    """

    def __init__(self, url: str, *, token: str = "", patience: float = 60.0) -> None:
        token = token or os.environ.get(TOKEN_VARIABLE, "")
        headers = {"content-type": "application/json"} | (
            {"authorization": f"Bearer {token}"} if token else {}
        )
        timeouts = Timeouts(connect=5.0, read=60.0, total=86_400.0)
        self.url = base_url(url, "rollout service", "http://127.0.0.1:9100")
        self._connections = Connections(self.url, headers=headers, timeouts=timeouts, direct=True, idle=10.0)
        self._patience = patience

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def tasks(self, split: str = "train", n: int = 100) -> list[dict[str, Any]]:
        """Tasks of the service's own environment.

        Raises:
            UsageError: it has no such split.
            ServiceGone: it can't be reached.
        """
        return (await self._post("/tasks", {"split": split, "n": n}))["tasks"]

    async def submit(self, tasks: Iterable[Mapping[str, Any]], *, repeats: int = 1, id: str = "") -> str:
        """Order a batch; its id. An id of your own makes it safe to order it again after a crash.

        Raises:
            UsageError: the service refuses the order.
            ServiceGone: it can't be reached.
        """
        order = {"id": id or uuid.uuid4().hex, "tasks": [dict(task) for task in tasks], "repeats": repeats}
        return str((await self._post("/batches", order))["id"])

    async def groups(self, id: str, *, after: int = 0) -> AsyncGenerator[GroupOfRollouts]:
        """The groups of a batch as they are finished, each once, from the one after number `after` on.

        Raises:
            UsageError: the service has no such batch.
            BatchFailed: the batch has ended before its last group.
            ServiceGone: it can't be reached.
        """
        seen, lost_at = after, None
        while True:
            try:
                async for line in self._connections.lines(f"/batches/{id}/groups?after={seen}"):
                    lost_at = None
                    if not line.strip():
                        continue
                    event = decode(line)
                    if event.get("error"):
                        raise BatchFailed(f"batch {id}: {event['error']}")
                    if event.get("end"):
                        return
                    if event["seq"] == seen + 1:
                        seen += 1
                        rollouts = [Rollout.from_row(row) for row in event["rollouts"]]
                        yield GroupOfRollouts(event["seq"], event["id"], event["group"], rollouts)
                lost_at = await self._pause(lost_at, NoAnswer("the answer ended", sent=True))
            except NoAnswer as error:
                if error.status:
                    raise UsageError(f"{self.url}: {error}") from None
                lost_at = await self._pause(lost_at, error)

    async def collect(self, tasks: Iterable[Mapping[str, Any]], *, repeats: int = 1) -> list[list[Rollout]]:
        """The rollouts of every task, in input order. A cancellation deletes the batch, so that its rollouts
        end too.

        Raises:
            UsageError: the service refuses the order.
            BatchFailed: the batch has ended before its last group.
            ServiceGone: it can't be reached.
        """
        id = uuid.uuid4().hex
        source = [dict(task) for task in tasks]
        try:
            await self.submit(source, repeats=repeats, id=id)
            groups = [group async for group in self.groups(id)]
        except ServiceGone:
            raise
        except BaseException:
            await finish(self.delete(id))
            raise
        await self.delete(id)
        if len(groups) < len(source):
            raise BatchFailed(f"batch {id}: cancelled after {len(groups)} of {len(source)} groups")
        return [one.rollouts for one in sorted(groups, key=lambda one: one.group)]

    async def set_weight_version(self, version: int) -> None:
        """Say which version of the weights the policy has from now on."""
        await self._post("/weight_version", {"version": version})

    async def cancel(self, id: str) -> None:
        """Stop a batch; its finished groups can still be read."""
        await self._post(f"/batches/{id}/cancel", {})

    async def delete(self, id: str) -> None:
        """Delete a batch, once everything is read."""
        await self._post(f"/batches/{id}/delete", {})

    async def health(self) -> dict[str, Any]:
        """The version, and how far each batch is."""
        return await self._request("GET", "/health", None)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def _post(self, path: str, body: Any) -> dict[str, Any]:
        return await self._request("POST", path, encode(body))

    async def _request(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        lost_at = None
        while True:
            try:
                reply = await self._connections.exchange(method, path, body, within=60.0)
            except NoAnswer as error:
                lost_at = await self._pause(lost_at, error)
                continue
            if reply.status == 200:
                return decode(reply.content)
            raise UsageError(f"{self.url}{path}: status {reply.status}: {reply.text[:400]}")

    async def _pause(self, lost_at: tuple[float, int] | None, error: NoAnswer) -> tuple[float, int]:
        """Wait before the next try; since when the service is lost, and the number of tries."""
        since, tries = lost_at or (monotonic(), 0)
        if monotonic() - since > self._patience:
            raise ServiceGone(f"{self.url}: {error}") from None
        await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
        return since, tries + 1
