"""A module run as a program: its result, its refusal and its early end."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from nemo_gym.support.module_programs import run_module
from nemo_gym.wire.errors import GymError

PROGRAM = """
import os, msgspec
from nemo_gym.support.module_programs import answer_request
from nemo_gym.wire.errors import UsageError

class Request(msgspec.Struct):
    number: int

def work(request):
    print("what it prints does not matter")
    if request.number < 0:
        raise UsageError(f"{request.number} is negative")
    if request.number == 0:
        raise ZeroDivisionError("it broke")
    return [request.number, os.path.basename(os.getcwd())]

answer_request(Request, work)
"""


class Request(msgspec.Struct):
    number: int


async def run(folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    (folder / "half.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return await run_module(
        "half",
        Request(number),
        tuple[int, str],
        what="a half",
        python=sys.executable,
        folder=folder,
        seconds=60,
    )


async def test_the_result_has_its_type_and_the_program_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run(tmp_path, 4, monkeypatch) == (4, tmp_path.name)


async def test_a_refusal_is_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GymError, match=r"^-1 is negative$"):
        await run(tmp_path, -1, monkeypatch)


async def test_an_early_end_shows_what_was_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        GymError, match=r"(?s)^trying a half ended with exit code 1 .*\| ZeroDivisionError: it"
    ):
        await run(tmp_path, 0, monkeypatch)
