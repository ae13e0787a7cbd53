"""Writes the CPU profile of a process to files, on `GET /stats` and at its end."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response


def profile_of(tree: Mapping[str, Any], name: str) -> CpuProfile | None:
    """The profile that a configuration asks for; None without one."""
    if not tree.get("profiling_enabled"):
        return None
    folder = tree.get("profiling_results_dirpath") or Path(tree.get("results_dir") or "results") / "profiles"
    return CpuProfile(name, Path(folder))


class CpuProfile:
    """A profile of the thread that calls `start`, usually an event loop.

    Args:
        name: the name of the files.
        only: the text lists only functions whose place contains this; empty for all.
    """

    def __init__(self, name: str, folder: Path, *, only: str = "") -> None:
        self._name = name
        self._folder = folder
        self._only = [only] if only else []
        self._profile = cProfile.Profile(time.thread_time)
        self._is_on = False

    def start(self) -> None:
        """Create the folder for the results and begin."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._is_on = True
        self._profile.enable()

    def stop(self) -> None:
        """End and write the files."""
        self._is_on = False
        self._profile.disable()
        self._write()

    def dump(self) -> None:
        """Write the files and go on: `<name>.log`, functions by cumulative time, and `<name>.prof` for other
        tools. Call it in the thread of the profile."""
        self._profile.disable()
        try:
            self._write()
        finally:
            if self._is_on:
                self._profile.enable()

    async def stats(self, _: Request) -> Response:
        """The handler of `GET /stats`."""
        self.dump()
        return Response()

    def _write(self) -> None:
        self._profile.create_stats()
        with (self._folder / f"{self._name}.log").open("w", encoding="utf-8") as file:
            pstats.Stats(self._profile, stream=file).sort_stats("cumulative").print_stats(*self._only)
        self._profile.dump_stats(self._folder / f"{self._name}.prof")
