"""HTTP answers of a model server for a failed back end, with statuses that clients understand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from nemo_gym.wire.errors import (
    GymError,
    ModelDenied,
    ModelError,
    ModelRejected,
    ModelTimeout,
    ModelUnreachable,
    RateLimited,
    UsageError,
)
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.model_call import ErrorCategory


@dataclass(frozen=True, slots=True)
class ModelFailure:
    """The HTTP side of a failed model call."""

    status: int
    message: str
    category: ErrorCategory | None = None
    """What the status alone doesn't say."""
    headers: dict[str, str] = field(default_factory=dict[str, str])


def model_failure(error: GymError) -> ModelFailure:
    """The status of a failure, so that a client retries exactly what may go better next time.

    429 with `Retry-After` when the endpoint is overrun, 504 when it is late, 502 when it can't be reached or
    talks nonsense, 503 when it says so itself; a refusal keeps the endpoint's own 4xx; what can't be said to
    this back end is 400.
    """
    message = without_secrets(str(error))
    match error:
        case RateLimited():
            return ModelFailure(429, message, headers=_retry_after(error))
        case ModelTimeout():
            return ModelFailure(504, message)
        case ModelUnreachable():
            return ModelFailure(502, message, "connection")
        case ModelDenied() | ModelRejected() if (status := error.http_status) and 400 <= status < 500:
            return ModelFailure(status, message)
        case ModelRejected() | UsageError():
            return ModelFailure(400, message)
        case ModelError(http_status=503):
            return ModelFailure(503, message, headers=_retry_after(error))
        case _:
            return ModelFailure(502, message)


def _retry_after(error: ModelError) -> dict[str, str]:
    return {"retry-after": f"{math.ceil(error.retry_after or _PAUSE)}"}


_PAUSE: Final = 5.0
"""Seconds, where the endpoint doesn't say: the back end's own patience is spent by then."""
