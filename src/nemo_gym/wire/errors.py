"""Every error that this package raises on purpose.

The text of a `GymError` is the whole message for the user. A `RolloutError` is the typed failure of one
rollout: it becomes a row of the failures file and never a reward."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Self


class GymError(Exception):
    """A failure explained in one line. The command exits with `exit_code`."""

    exit_code: ClassVar[int] = 1
    settings: tuple[str, ...] = ()
    """The settings that the message is about. A caller may add its own names for them, such as flags."""

    def about(self, *settings: str) -> Self:
        """Set `settings`; the same error."""
        self.settings = settings
        return self


class UsageError(GymError):
    """The input of the user is wrong: a wrong name, flag, path or data file."""

    exit_code: ClassVar[int] = 2


class DataError(UsageError):
    """A data file has a line that can't be used. The message starts with `path:line:`."""


class RolloutError(GymError):
    """One rollout ended without a score. `failure_class` says why."""

    failure_class: str = "run_error"
    terminal: bool = False
    """True when another attempt at the same rollout cannot end differently."""
    pending: ClassVar[bool] = False
    """True when the rollout counts as not run: it is written nowhere, and resuming runs it again."""
    traceback: str | None = None
    """The last calls before an exception in an author's code, for the failures file."""

    def __init__(self, message: str, *, http_status: int | None = None, body: str | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.body = body


class ModelError(RolloutError):
    """The model endpoint failed and the retry budget is spent."""

    failure_class = "model_error"
    retry_after: float | None = None
    """Seconds to wait before the next request, as the endpoint says."""


class ModelTimeout(ModelError):
    """The model endpoint did not answer in time."""

    failure_class = "model_timeout"


class ModelUnreachable(ModelError):
    """No connection to the model endpoint could be made or kept."""

    failure_class = "model_unreachable"


class RateLimited(ModelError):
    """The model endpoint kept answering 429 until the retry budget was spent."""

    failure_class = "rate_limited"


class ModelDenied(ModelError):
    """The model endpoint refused the key, the account, the model or the route. That is the same for every
    rollout and can only be corrected outside of the run."""

    failure_class = "model_denied"


class ModelRejected(ModelError):
    """The model endpoint refused the request itself (a 4xx that retrying can't change)."""

    failure_class = "model_rejected"
    terminal = True


class SessionBudgetExhausted(ModelRejected):
    """The proxy before the endpoint ends the rollout, whose calls are used up; models return an incomplete
    Response instead."""


class ContextOverflow(ModelRejected):
    """The conversation no longer fits the context window; models return an incomplete Response instead."""


class EnvironmentFault(RolloutError):
    """The environment raised while seeding, resetting or stepping."""

    failure_class = "environment_error"


class TaskUnfit(EnvironmentFault):
    """The task lacks a column that the environment needs, or has a wrong value there."""

    terminal = True


class VerifierFault(RolloutError):
    """The verifier raised, ran out of time, or returned something that is not a reward."""

    failure_class = "verifier_error"


class JudgeFailed(RolloutError):
    """The model that the verifier asks failed, so the rollout has no score."""

    failure_class = "judge_failed"


class ServerUnreachable(RolloutError):
    """No connection to the environment's or the agent's server could be made or kept."""

    failure_class = "server_unreachable"


class ServerTimeout(RolloutError):
    """The environment's or the agent's server did not answer in time."""

    failure_class = "server_timeout"


class RemoteAgentError(RolloutError):
    """The external agent failed, or answered with something that is not a Response."""

    failure_class = "remote_agent_error"


class AgentFault(RolloutError):
    """The program that acts as the agent can't be started, failed, or never asked the model."""

    failure_class = "agent_error"


class AgentTimeout(RolloutError):
    """The program that acts as the agent ran out of its own time."""

    failure_class = "timeout_exceeded"


class RolloutTimeout(RolloutError):
    """The rollout passed its deadline."""

    failure_class = "rollout_timeout"


class Interrupted(RolloutError):
    """The program that ran the rollout was shut down meanwhile (`_ng_no_persist` in its row)."""

    failure_class = "interrupted"
    pending = True


class WorkerDied(RolloutError):
    """The worker process that held this rollout ended before finishing it."""

    failure_class = "worker_died"


def chain(
    error: BaseException | None, before: Callable[[BaseException], BaseException | None]
) -> Iterator[BaseException]:
    """An error and those that caused it, each once and at most 100, because an error may cause itself.

    Args:
        before: the cause of an error.
    """
    errors: list[BaseException] = []
    while error is not None and len(errors) < 100 and not any(error is one for one in errors):
        yield error
        errors.append(error)
        error = before(error)


def did_you_mean(wrong: str, candidates: Iterable[str], *, limit: int = 3) -> str:
    """` Did you mean 'x'?` for the closest candidates, else ` Known: ...`, else an empty string."""
    names = sorted(candidates)
    close = difflib.get_close_matches(wrong, names, n=limit, cutoff=0.6)
    if close:
        return f" Did you mean {' or '.join(repr(name) for name in close)}?"
    return f" Known: {', '.join(names)}." if names else ""
