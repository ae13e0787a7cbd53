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
    """The kind of failure, where the status alone does not say it."""
    headers: dict[str, str] = field(default_factory=dict[str, str])


def model_failure(error: GymError) -> ModelFailure:
    """The HTTP answer for a failure; a client that follows it retries the calls that may succeed later.

    429 with `Retry-After`: the endpoint has too many requests. 504: it is late. 502: it can't be reached, or
    its answer is not valid. 503: its own answer was 503. A refusal keeps the endpoint's own 4xx. 400: the
    back end does not support the request.
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
    return {"retry-after": f"{math.ceil(error.retry_after or _RETRY_AFTER_S)}"}


_RETRY_AFTER_S: Final = 5.0
"""Seconds until a client should try again, when the endpoint does not say how many."""
