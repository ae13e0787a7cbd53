"""A CPU profile of a stretch of code, written to a file."""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path

from pydantic import BaseModel, PrivateAttr


class Profiler(BaseModel):
    """Profiles between `start` and `stop`; `dump` writes what was seen so far."""

    name: str
    base_profile_dir: Path
    required_str: str | None = None
    """Show only functions whose place contains this."""

    _profile: cProfile.Profile = PrivateAttr(default_factory=cProfile.Profile)

    def start(self) -> None:
        """Begin; the folder for the results is made."""
        self.base_profile_dir.mkdir(parents=True, exist_ok=True)
        self._profile.enable()

    def stop(self) -> None:
        """End and write."""
        self._profile.disable()
        self.dump()

    def dump(self) -> None:
        """Write `<name>.log`, functions by cumulative time, and `<name>.prof` for other tools."""
        self._profile.create_stats()
        with (self.base_profile_dir / f"{self.name}.log").open("w", encoding="utf-8") as file:
            stats = pstats.Stats(self._profile, stream=file).sort_stats("cumulative")
            stats.print_stats(*([self.required_str] if self.required_str else []))
        self._profile.dump_stats(self.base_profile_dir / f"{self.name}.prof")
