"""A CPU profile of a stretch of code, written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, PrivateAttr

from nemo_gym.serving.profiling import CpuProfile


class Profiler(BaseModel):
    """Profiles between `start` and `stop`; `dump` writes what was seen so far."""

    name: str
    base_profile_dir: Path
    required_str: str | None = None
    """Show only functions whose place contains this."""

    _profile: CpuProfile = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        self._profile = CpuProfile(self.name, self.base_profile_dir, only=self.required_str or "")

    def start(self) -> None:
        """Begin; the folder for the results is made."""
        self._profile.start()

    def stop(self) -> None:
        """End and write."""
        self._profile.stop()

    def dump(self) -> None:
        """Write `<name>.log`, functions by cumulative time, and `<name>.prof` for other tools."""
        self._profile.dump()
