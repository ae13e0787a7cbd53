"""The state of a run while it goes on, for a display."""

from __future__ import annotations

from collections import Counter, deque
from time import monotonic

from nemo_gym.runs.result import Result
from nemo_gym.stats.statistics import ClusteredMean


class Progress:
    """Counts of a run: requested = scored + failed + pending, at any time."""

    def __init__(self) -> None:
        self.requested = 0
        self.scored = 0
        self.failed_class: dict[tuple[int, int], str] = {}
        """The last failure class of each (task, repeat) that has failed and not been scored since."""
        self.last_error = ""
        self.finished = 0
        """Rollouts that ended in this process."""
        self.interrupted = 0
        """Those among them that count as not run, because their server was shut down."""
        self.output_tokens = 0
        self.mean = ClusteredMean()
        self._start = monotonic()
        self._recent: deque[tuple[float, int, int]] = deque(maxlen=64)

    @property
    def failed(self) -> int:
        return len(self.failed_class)

    @property
    def failures(self) -> Counter[str]:
        """Failed rollouts by class."""
        return Counter(self.failed_class.values())

    @property
    def done(self) -> int:
        return self.scored + self.failed

    @property
    def pending(self) -> int:
        return self.requested - self.done

    def add(self, result: Result) -> None:
        """Count one rollout that has just ended."""
        self.output_tokens += result.tokens
        self.finished += 1
        if result.failure is None:
            self.scored += 1
            self.failed_class.pop((result.task, result.rollout), None)
            self.mean.add(result.task, result.reward or 0.0)
            return
        self.last_error = result.error
        if result.pending:
            self.interrupted += 1
        else:
            self.failed_class[result.task, result.rollout] = result.failure

    def elapsed(self) -> float:
        """Seconds since the run (or its resumption) began."""
        return monotonic() - self._start

    def rates(self) -> tuple[float, float]:
        """Rollouts and output tokens per second over roughly the last minute; call about once a second."""
        now, finished = monotonic(), self.finished
        if not self._recent or now - self._recent[-1][0] >= 1.0:
            self._recent.append((now, finished, self.output_tokens))
        since, before, tokens = self._recent[0] if len(self._recent) > 1 else (self._start, 0, 0)
        span = max(now - since, 1e-6)
        return (finished - before) / span, (self.output_tokens - tokens) / span

    def seconds_left(self) -> float | None:
        """A guess from the present rate; None while there is nothing to guess from."""
        rate, _ = self.rates()
        return self.pending / rate if rate > 0 else None
