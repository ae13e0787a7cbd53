"""Links to environments: an agent uses the same awaitable methods for a local and a remote environment."""

from __future__ import annotations

import inspect
import itertools
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from time import monotonic
from typing import Any, Final, Literal, NoReturn, Protocol, runtime_checkable

from nemo_gym.environments.base import Environment, Observation, Step, StepEnvironment
from nemo_gym.environments.blocking_hooks import end_threads
from nemo_gym.environments.mcp_tools import McpTools, check_sdk
from nemo_gym.environments.resources import Resources
from nemo_gym.environments.rewards import reward_scale
from nemo_gym.environments.route import BoundRoute, bind_routes
from nemo_gym.environments.session import CURRENT, Session
from nemo_gym.environments.tool import answer_of, bind_tools, no_such_tool
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.wire.errors import (
    EnvironmentFault,
    JudgeFailed,
    ModelError,
    RolloutError,
    TaskUnfit,
    UsageError,
    VerifierFault,
)
from nemo_gym.wire.exception_text import is_fault, message_of, origin, short_traceback
from nemo_gym.wire.items import FunctionCall
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, as_reward, finite_reward
from nemo_gym.wire.task import Row, task_from_row

log: Final = logging.getLogger(__name__)


class EnvironmentLink(Protocol):
    """The methods of an environment that an agent may use."""

    @property
    def steps(self) -> bool:
        """True for the reset/step form, False for tools and verify."""
        ...

    @property
    def max_steps(self) -> int:
        """The environment's own limit of answers in one episode (reset/step form)."""
        ...

    def session(self, row: Row) -> AbstractAsyncContextManager[Session]:
        """A seeded session for one rollout; it is closed at the end of the block, even after an error."""
        ...

    async def call(self, session: Session, call: FunctionCall) -> str:
        """Run one tool call; a problem that the model could solve becomes a text for the model.

        Raises:
            RolloutError: the environment's server can't be reached.
        """
        ...

    async def reset(self, session: Session) -> Observation: ...

    async def step(self, session: Session, action: Response) -> Step: ...

    async def verify(self, session: Session, response: Response) -> Reward: ...

    async def aclose(self) -> None:
        """Release connections. No session may be open."""
        ...


class WrappedLink:
    """A link that leaves everything to another one, except what a subclass does itself."""

    def __init__(self, link: EnvironmentLink) -> None:
        self.steps = link.steps
        self.max_steps = link.max_steps
        self._link = link

    def session(self, row: Row) -> AbstractAsyncContextManager[Session]:
        return self._link.session(row)

    async def call(self, session: Session, call: FunctionCall) -> str:
        return await self._link.call(session, call)

    async def reset(self, session: Session) -> Observation:
        return await self._link.reset(session)

    async def step(self, session: Session, action: Response) -> Step:
        return await self._link.step(session, action)

    async def verify(self, session: Session, response: Response) -> Reward:
        return await self._link.verify(session, response)

    async def aclose(self) -> None:
        await self._link.aclose()


Restores = Literal["", "replay", "snapshot"]
"""How a session is brought to where it was: not at all, by the same calls, or by a snapshot of its state."""


@runtime_checkable
class RestorableLink(Protocol):
    """A link whose sessions may be brought to where they were in another process."""

    @property
    def restores(self) -> Restores: ...

    async def snapshot(self, session: Session) -> Any:
        """The state of a session as JSON."""
        ...

    async def restore(self, session: Session, state: Any) -> None:
        """Bring a session that was just seeded to a state."""
        ...


def restores(environment: Environment) -> Restores:
    """How the sessions of an environment are restored."""
    kind = type(environment)
    if kind.snapshot is not Environment.snapshot and kind.restore is not Environment.restore:
        return "snapshot"
    return "replay" if environment.restorable else ""


class LocalEnvironment:
    """An environment in this process and event loop."""

    def __init__(
        self,
        environment: Environment,
        *,
        seed: int = 0,
        scale: RewardScale | None = None,
        resources: Resources | None = None,
    ) -> None:
        self.environment = environment
        if resources is not None:
            environment.resources = resources
        self.steps = isinstance(environment, StepEnvironment)
        self.max_steps = environment.max_steps if isinstance(environment, StepEnvironment) else 1
        self._seed = seed
        self.scale = scale or reward_scale(environment)
        """The scale of its rewards; by default the one that the environment declares."""
        self._tools = bind_tools(environment)
        self.tools = [tool.schema for tool in self._tools.values()]
        """The schema of every tool."""
        self.routes = bind_routes(environment, self._tools)
        """The routes of the environment's own, for its server."""
        self._has_mcp = type(environment).mcp_servers is not Environment.mcp_servers
        if self._has_mcp:
            check_sdk(environment.name())
        self._mcp: dict[str, McpTools] = {}
        self._numbers = itertools.count()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        """The open sessions; the one that is unused for the longest time comes first."""
        self._had_sessions = False

    @property
    def restores(self) -> Restores:
        """How its sessions are restored."""
        return restores(self.environment)

    async def snapshot(self, session: Session) -> Any:
        return await self._ask(session, lambda: self.environment.snapshot(session), "snapshot")

    async def restore(self, session: Session, state: Any) -> None:
        await self._ask(session, lambda: self.environment.restore(state, session), "restore")

    def session(self, row: Row) -> AbstractAsyncContextManager[Session]:
        return _OpenSession(self, row)

    async def open(self, row: Row, *, held: bool = False) -> Session:
        """Create and seed a session; `close` must follow. Sessions that are unused for too long are closed.

        Args:
            held: whether the session counts as used until it is closed.

        Raises:
            TaskUnfit: the row does not fit.
            EnvironmentFault: `seed` raised, or an MCP server can't be used.
        """
        if self._open:
            await self.close_expired()
        environment = self.environment
        try:
            task = task_from_row(row, environment.Task)
        except UsageError as error:
            raise TaskUnfit(f"task does not fit {environment.name()}: {error}") from None
        session = Session(
            row,
            task,
            id=f"s{next(self._numbers)}",
            seed=self._seed,
            tools=self.tools,
            scale=self.scale,
            sandboxes=environment.resources.sandboxes,
        )
        entry = self._open[session.id] = _Open(self._open, session)
        self._had_sessions = True
        with entry:
            try:
                result = environment.seed(task, session)
                if result is not None:
                    await _settle(result)
                if self._has_mcp:
                    await self._connect(session)
                entry.uses += held
            except BaseException as error:
                await self.finish(session)
                raise_fault(error, EnvironmentFault, "seed")
        return session

    async def close(self, session: Session) -> None:
        """Close a session once; closing it again does nothing.

        Raises:
            EnvironmentFault: the environment's own `close` raised.
        """
        if self._open.pop(session.id, None) is None:
            return
        try:
            result = self.environment.close(session)
            if result is not None:
                await _settle(result)
        except BaseException as error:
            raise_fault(error, EnvironmentFault, "close")
        finally:
            try:
                mcp_tools = self._mcp.pop(session.id, None)
                if mcp_tools is not None:
                    await mcp_tools.aclose()
            finally:
                if session.sandboxes is not None:
                    await session.sandboxes.aclose()

    async def finish(self, session: Session) -> None:
        """Close a session at the end of its rollout. A failure becomes its `cleanup_warning`, because it must
        not undo a scored rollout or hide an earlier error.
        """
        try:
            await self.close(session)
        except EnvironmentFault as error:
            cause = type(error.__cause__).__name__
            session.cleanup_warning = {"operation": "close", "error_type": cause, "message": str(error)}

    async def close_expired(self) -> None:
        """Close the sessions that are unused for longer than `session_ttl`."""
        for _ in range(len(self._open)):
            if not self._open:
                return
            oldest = next(iter(self._open.values()))
            if monotonic() - oldest.last_use < self.environment.session_ttl:
                return
            if oldest.uses:
                oldest.touch()
            else:
                await self.finish(oldest.session)

    def is_open(self, session: Session) -> bool:
        """Whether a session is open."""
        return session.id in self._open

    async def call(self, session: Session, call: FunctionCall) -> str:
        with self.use(session):
            name = call["name"]
            tool = self._tools.get(name)
            if tool is not None:
                return await tool.call(session, call["arguments"])
            mcp_tools = self._mcp.get(session.id)
            if mcp_tools is not None and name in mcp_tools:
                return await mcp_tools.call(name, call["arguments"])
            try:
                answer = await self.environment.call_tool(call, session)
            except RolloutError:
                raise
            except BaseException as error:
                return answer_of(error, name)
            if answer is not None:
                return answer
            return no_such_tool(name, {*self._tools, *(tool.get("name", "") for tool in session.tools)})

    async def reset(self, session: Session) -> Observation:
        environment = self._step_environment()
        result = await self._ask(session, lambda: environment.reset(session.task, session), "reset")
        if result is None or isinstance(result, str):
            return Observation(result)
        if not isinstance(result, Observation):
            raise EnvironmentFault(f"reset returned {type(result).__name__}, not text or an Observation")
        return result

    async def step(self, session: Session, action: Response) -> Step:
        environment = self._step_environment()
        result = await self._ask(session, lambda: environment.step(action, session), "step")
        if not isinstance(result, Step):
            raise EnvironmentFault(f"step returned {type(result).__name__}, not a Step")
        reward = finite_reward(result.reward, "step returned")
        if columns := session.columns:
            result = result._replace(info={**result.info, **columns})
        return result if reward is result.reward else result._replace(reward=reward)

    async def verify(self, session: Session, response: Response) -> Reward:
        environment = self.environment
        try:
            with self.use(session):
                verdict = environment.verify(session.task, response, session)
                reward = as_reward(verdict if type(verdict) in _REWARDS else await _settle(verdict))
            session.scale.check(reward.value)
            columns = session.columns
            return replace(reward, details={**reward.details, **columns}) if columns else reward
        except ModelError as error:
            raise JudgeFailed(message_of(error)) from error
        except BaseException as error:
            raise_fault(error, VerifierFault, "verify")

    async def answer(self, route: BoundRoute, body: Any) -> Any:
        """The answer of one of the environment's own routes.

        Raises:
            RolloutError: the method raises, or a model that it asks gives no answer.
        """
        try:
            return await _settle(route.function(body))
        except ModelError as error:
            raise JudgeFailed(message_of(error)) from error
        except BaseException as error:
            raise_fault(error, EnvironmentFault, route.path)

    async def aclose(self) -> None:
        """Run the environment's `aclose`, then close its sandboxes and threads. An exception of `aclose` is
        only logged, because it must not undo scored rollouts."""
        had_sessions, self._had_sessions = self._had_sessions, False
        try:
            if had_sessions:
                await _settle(self.environment.aclose())
        except BaseException as error:
            if not is_fault(error):
                raise
            name = self.environment.name()
            log.warning("%s: aclose raised %s%s", name, message_of(error), origin(error))
        finally:
            await self.environment.resources.aclose()
            await end_threads(self.environment)

    @property
    def open_sessions(self) -> int:
        """How many sessions are open."""
        return len(self._open)

    async def _connect(self, session: Session) -> None:
        servers = await _settle(self.environment.mcp_servers(session.task, session))
        mcp_tools = self._mcp[session.id] = McpTools()
        await mcp_tools.connect(servers, {*self._tools, *(tool.get("name", "") for tool in session.tools)})
        session.tools = [*session.tools, *mcp_tools.schemas]

    def _step_environment(self) -> StepEnvironment:
        if not isinstance(self.environment, StepEnvironment):
            raise EnvironmentFault(f"{self.environment.name()} has no reset and step; use the tool loop")
        return self.environment

    async def _ask(self, session: Session, hook: Callable[[], Any], name: str) -> Any:
        try:
            with self.use(session):
                return await _settle(hook())
        except BaseException as error:
            raise_fault(error, EnvironmentFault, name)

    def use(self, session: Session) -> _Open:
        """A block in which a session does not expire."""
        return self._open.get(session.id) or _Open(self._open, session)


class _Open:
    """An open session, and a block in which it is in use. It expires some time after the last block's end."""

    __slots__ = ("_all", "last_use", "session", "uses")

    def __init__(self, all_open: OrderedDict[str, _Open], session: Session) -> None:
        self._all = all_open
        self.session = session
        self.last_use = monotonic()
        """When its last use ended."""
        self.uses = 0
        """How many blocks use it now."""

    def __enter__(self) -> None:
        self.uses += 1
        CURRENT.set(self.session)

    def __exit__(self, *_: object) -> None:
        self.uses -= 1
        if self.uses == 0:
            self.touch()

    def touch(self) -> None:
        """Let its time to expire start now."""
        self.last_use = monotonic()
        if self.session.id in self._all:
            self._all.move_to_end(self.session.id)


class _OpenSession(AbstractAsyncContextManager[Session]):
    """A session for the length of a block, in which it is always in use."""

    __slots__ = ("_link", "_row", "_session")

    def __init__(self, link: LocalEnvironment, row: Row) -> None:
        self._link = link
        self._row = row

    async def __aenter__(self) -> Session:
        self._session = await self._link.open(self._row, held=True)
        return self._session

    async def __aexit__(self, *_: object) -> None:
        await self._link.finish(self._session)


_REWARDS = frozenset({float, int, bool, dict, Reward})
"""Types of results that are not awaitable."""


async def _settle(result: Awaitable[Any] | Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def raise_fault(error: BaseException, kind: type[RolloutError], hook: str) -> NoReturn:
    """Raise the exception of a hook as a fault of a kind. A typed failure of the rollout, a cancellation and
    the like are raised unchanged."""
    if isinstance(error, RolloutError) or not is_fault(error):
        raise error
    fault = kind(f"{hook} raised {message_of(error)}{origin(error)}")
    fault.traceback = short_traceback(error)
    raise fault from error
