"""`gym dev`: for work on this package itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import typer

from nemo_gym.wire.errors import UsageError

app = typer.Typer(help="Work on this package itself.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Work on this package itself."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run this package's own tests, with coverage where pytest-cov is installed; pytest's options may follow.

    Example: gym dev test tests/wire -n 2
    """
    tests = Path(__file__).resolve().parents[3] / "tests"
    if not (tests / "conftest.py").is_file():
        raise UsageError("this package's tests come with its repository: run this from a checkout of it")
    if find_spec("pytest") is None:
        raise UsageError("pytest can't be imported: pip install 'nemo-gym[dev]'")
    coverage = ["--cov=nemo_gym"] if find_spec("pytest_cov") else []
    words = [sys.executable, "-m", "pytest", *coverage, *context.args]
    sys.exit(subprocess.run(words, cwd=tests.parent, check=False).returncode)
