"""A CPU profile of a stretch of code, written to a file."""

from __future__ import annotations

from pathlib import Path

from nemo_gym.serving.profiling import CpuProfile


class Profiler(CpuProfile):
    """Profiles between `start` and `stop`; `dump` writes the profile so far."""

    def __init__(self, name: str, base_profile_dir: Path | str, required_str: str | None = None) -> None:
        super().__init__(name, Path(base_profile_dir), only=required_str or "")
