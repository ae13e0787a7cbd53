"""What the tests share: a model endpoint in a process of its own, and the `gym` command."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from nemo_gym.wire.masking import forget_secrets
from nemo_gym.wire.token_packing import expand_row
from tests.support.forked import FORKS

SUPPORT = Path(__file__).parent / "support"
ECHO = str(SUPPORT / "echo_env.py")

StartEndpoint = Callable[..., str]
StartServer = Callable[..., tuple[str, subprocess.Popen[str]]]

# Property tests are repeatable and never judged by the clock.
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.load_profile("steady")


# Where an environment forbids bytecode, each of hundreds of processes would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A `pytest` that a test starts needs no plugin that takes longer to load than its tests to run.
os.environ.setdefault("PYTEST_ADDOPTS", "-p no:schemathesis")

# All that collecting makes stays to the end: looking for garbage in it is a quarter of its time.
gc.disable()

# A shell that starts the tests in the background makes them and their children ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """From here on garbage is collected, and only what is new is looked at."""
    gc.collect()
    gc.freeze()
    gc.enable()


LONG = (
    "environments/test_check.py::test_every_built_in", "environments/test_redteam.py::test_no_known_hack",
    "library/test_event_loop.py", "library/coding/", "cli/test_running_servers.py", "cli/test_run_config.py",
    "cli/test_shared_process.py", "cli/test_workloads.py", "cli/test_end_to_end.py", "cli/test_servers.py",
    "runs/test_reliability.py", "docs/test_write_function.py", "serving/test_fork_server.py",
    "models/test_local_vllm.py", "models/test_embedded.py",
)  # fmt: skip
"""The beginnings of the names of long tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker begins with its share of the long tests, so that none of them is the last one to run."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.nodeid.removeprefix("tests/").startswith(LONG)]
    chosen = set(long)
    others = [item for item in items if item not in chosen]
    share = -(-len(others) // workers)
    items[:] = [
        item
        for worker in range(workers)
        for item in (*long[worker::workers], *others[worker * share : (worker + 1) * share])
    ]


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: a little more than one a core, as many tests wait for other processes."""
    return len(os.sched_getaffinity(0)) + 3


@pytest.fixture(autouse=True)
def no_remembered_secrets() -> Iterator[None]:
    """What one test's configuration held is no secret of the next test's."""
    yield
    forget_secrets()


@pytest.fixture
def start_endpoint() -> Iterator[StartEndpoint]:
    """Start an endpoint (a program of `support/`) with the given options; its base URL."""
    processes: list[subprocess.Popen[str]] = []

    def start(program: str = "endpoint.py", **options: Any) -> str:
        words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = [sys.executable, str(SUPPORT / program), *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        return f"http://127.0.0.1:{int(process.stdout.readline())}/v1"

    yield start
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def use_hub(
    start_endpoint: StartEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Make this process use a local hub, with an empty cache and an empty working directory."""

    from huggingface_hub import constants

    def use(folder: Path, **options: Any) -> str:
        url = start_endpoint("hub_server.py", folder=folder, **options).removesuffix("/v1")
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.chdir(tmp_path)
        return url

    return use


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start a `gym_server.py` with the given options; its base URL, and the process to kill."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(server_process(**options))


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """The base URL of a `gym_server.py` that the tests of a file share, so none may end it."""
    with server_process() as (url, _):
        yield url


@contextmanager
def server_process(**options: Any) -> Generator[tuple[str, subprocess.Popen[str]]]:
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, str(SUPPORT / "gym_server.py"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", process
        process.kill()


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[None]:
    """At the end of the tests, end the process whose forks run the `gym` command."""
    yield
    FORKS.close()


@pytest.fixture(scope="session")
def gym() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the `gym` command to its end, in a fork of a process that has imported it."""
    return run_gym


def run_gym(
    *words: object, cwd: Path | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Have one command run, as `ForkServer.run`."""
    return FORKS.run(words, cwd=cwd or Path.cwd(), environ=os.environ, timeout=timeout)


def write_echo_tasks(path: Path, count: int, *, right_every: int = 2) -> Path:
    """Tasks for `echo_env.py`: every `right_every`-th is answered rightly by the test endpoint."""
    with path.open("w") as file:
        for number in range(count):
            expected = str(number) if number % right_every == 0 else "something else"
            row = {"responses_create_params": {"input": [{"role": "user", "content": f"say {number}"}]}}
            file.write(json.dumps({**row, "expected": expected}) + "\n")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a JSONL file, with every prompt in full."""
    return [expand_row(json.loads(line)) for line in path.read_text().splitlines()]
