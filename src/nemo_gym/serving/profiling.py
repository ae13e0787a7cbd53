"""Where a process spends its CPU time, written to files on `GET /stats` and at its end."""

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
    """The profile that a configuration asks for; None when it asks for none."""
    if not tree.get("profiling_enabled"):
        return None
    folder = tree.get("profiling_results_dirpath") or Path(tree.get("results_dir") or "results") / "profiles"
    return CpuProfile(name, Path(folder))


class CpuProfile:
    """A profile of the thread that calls `start`: of an event loop everything but work handed to threads.

    Args:
        name: of the files.
        shown: only functions whose place contains this go into the text; empty for all.
    """

    def __init__(self, name: str, folder: Path, *, shown: str = "") -> None:
        self._name = name
        self._folder = folder
        self._shown = [shown] if shown else []
        self._profile = cProfile.Profile(time.thread_time)
        self._on = False

    def start(self) -> None:
        """Begin; the folder for the results is made."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._on = True
        self._profile.enable()

    def stop(self) -> None:
        """End and write."""
        self._on = False
        self._profile.disable()
        self._write()

    def dump(self) -> None:
        """Write what was seen so far, and go on: `<name>.log`, functions by cumulative time, and
        `<name>.prof` for other tools. To be called in the thread that is profiled."""
        self._profile.disable()
        try:
            self._write()
        finally:
            if self._on:
                self._profile.enable()

    async def stats(self, _: Request) -> Response:
        """The handler of `GET /stats`."""
        self.dump()
        return Response()

    def _write(self) -> None:
        self._profile.create_stats()
        with (self._folder / f"{self._name}.log").open("w", encoding="utf-8") as file:
            pstats.Stats(self._profile, stream=file).sort_stats("cumulative").print_stats(*self._shown)
        self._profile.dump_stats(self._folder / f"{self._name}.prof")
