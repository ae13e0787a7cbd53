"""Code that would be paid unmended, by what it does to its tests, their report, or its process."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nemo_gym import Response, Session
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.coding.example_repair.environment import Repair
from nemo_gym.support.processes import clean_environment, run_program
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.task import task_to_row

LIE = b'{"count": 9, "failures": 0, "report": ""}\n'
PATCH = """
import unittest
def nothing(*words, **named):
    return True
"""
SOME = """
class Some:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __getattr__(self, name): return self
    def __call__(self, *words, **named): return self
    def __bool__(self): return True
    def __iter__(self): return iter(())
    def __len__(self): return 0
"""
EVERYWHERE = """
import os
def write(data):
    for fd in range(64):
        try:
            os.write(fd, data)
        except OSError:
            pass
"""

TAMPERING = {
    "skips at import": "import unittest\nraise unittest.SkipTest('no')",
    "skips in every method": """
import unittest
def skip(*words, **named):
    raise unittest.SkipTest
Inventory.add = Inventory.take = Inventory.total = Inventory.names = skip
""",
    "skips by an exception that a test wants": """
import unittest
class Skip(unittest.SkipTest, LookupError, ValueError):
    pass
def skip(*words):
    raise Skip
Inventory.total = Inventory.names = skip
""",
    "ends at import": "import os\nos._exit(0)",
    "ends in a method": "import os\nInventory.total = lambda self: os._exit(0)",
    "raises SystemExit": "raise SystemExit(0)",
    "raises KeyboardInterrupt": "raise KeyboardInterrupt",
    "raises what one test wants": "def refuse(*words):\n    raise LookupError\nInventory.take = refuse",
    "equals everything": SOME + "Inventory = Some()",
    "gives what equals everything": SOME + "Inventory.total = Inventory.names = lambda self: Some()",
    "a number that equals everything": """
class Number(int):
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__
Inventory.total = lambda self: Number(6)
""",
    "a list that equals everything": """
class Names(list):
    __eq__ = lambda self, other: True
Inventory.names = Inventory.total = lambda self: Names()
""",
    "a class that is called list": """
class Meta(type):
    __name__ = "list"
    __eq__ = lambda self, other: True
    __hash__ = type.__hash__
class Names(list, metaclass=Meta):
    __eq__ = lambda self, other: True
    __class__ = list
Inventory.names = Inventory.total = lambda self: Names()
""",
    "a class that says it is another": """
class Number:
    __class__ = int
    __eq__ = lambda self, other: True
Inventory.total = lambda self: Number()
""",
    "patches assertions": PATCH
    + """
for name in dir(unittest.TestCase):
    if name.startswith("assert"):
        setattr(unittest.TestCase, name, nothing)
""",
    "patches results": PATCH
    + """
for kind in (unittest.TestResult, unittest.TextTestResult):
    kind.addFailure = kind.addError = kind.addSkip = nothing
""",
    "patches running": PATCH + "unittest.TestCase.run = lambda self, result: result.startTest(self)",
    "patches the loader": PATCH
    + "unittest.TestLoader.discover = lambda *words, **named: unittest.TestSuite()",
    "patches all that holds failures": """
import sys
for module in list(sys.modules.values()):
    for value in list(vars(module).values()):
        if isinstance(value, type) and hasattr(value, "failures"):
            value.failures = property(lambda self: [])
""",
    "stands for modules": """
import sys, types
for name in ("unittest", "json", "builtins", "importlib"):
    sys.modules[name] = types.ModuleType(name)
""",
    "patches the protocol": f"import json\njson.dumps = lambda *words, **named: {LIE.decode().strip()!r}",
    "patches who answers": """
import sys
main = sys.modules["__main__"]
main.Subject._answer = lambda self, line: ["value", 6]
main.encode = lambda *words: True
""",
    "patches builtins": """
import builtins
builtins.sum = builtins.len = lambda *words: 0
builtins.type = lambda *words: int
""",
    "reads frames": """
import os, sys
frame, words = sys._getframe(), []
while frame:
    words += map(str, frame.f_locals.values())
    frame = frame.f_back
os.write(1, "\\n".join(f"{word} 5 0" for word in words).encode())
os._exit(0)
""",
    "reads all objects": """
import gc
for each in gc.get_objects():
    if isinstance(each, dict) and "count" in each:
        each.update(count=9, failures=0)
""",
    "writes the report everywhere": EVERYWHERE + f"write({LIE!r})",
    "writes answers everywhere": EVERYWHERE + "write(b'[\"value\", true]\\n' * 500)",
    "writes at its end": EVERYWHERE + f"import atexit\natexit.register(write, {LIE!r})\nraise SystemExit",
    "writes from a thread": EVERYWHERE
    + f"""
import threading
def always():
    while True:
        write({LIE!r})
threading.Thread(target=always, daemon=True).start()
""",
    "leaves a process behind": EVERYWHERE
    + f"""
if os.fork() == 0:
    os.setsid()
    while True:
        write({LIE!r})
""",
    "answers twice": "import os\nos.fork()",
    "overwrites tests": """
import os
for place, _, names in [each for root in ("/workspace", "/tmp", "/home") for each in os.walk(root)]:
    for name in names:
        if name.startswith("test") and name.endswith(".py"):
            try:
                open(os.path.join(place, name), "w").write("")
            except OSError:
                pass
""",
    "reads tests": """
import os, re
texts = []
for place, _, names in [each for root in ("/workspace", "/tmp", "/home") for each in os.walk(root)]:
    texts += [open(os.path.join(place, name)).read() for name in names if "test_inventory" in name]
if texts:
    numbers = [int(word) for word in re.findall(r"total\\(\\), (\\d+)", "".join(texts))]
    Inventory.total = lambda self: numbers.pop(0)
""",
    "kills all": """
import os, signal
for pid in (-1, 1, os.getppid()):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
""",
    "interrupts its supervisor": "import os, signal\nos.kill(1, signal.SIGINT)",
    "limits its supervisor": """
import resource
for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_AS):
    try:
        resource.prlimit(1, kind, (0, 0))
    except OSError:
        pass
""",
    "answers without an end": "Inventory.total = lambda self: 'x' * (1 << 28)",
    "answers too deep": """
def deep(self):
    value = []
    for _ in range(100_000):
        value = [value]
    return value
Inventory.total = deep
""",
    "answers a large number": "Inventory.total = lambda self: 10 ** 100_000",
    "closes what is open": "import os\nos.closerange(0, 100)",
    "never ends": "while True:\n    pass",
    "fills its memory": "x = 'x' * (1 << 40)",
}
"""What is put behind the broken module."""
ENDLESS = ("never ends", "answers without an end")

FILES = {
    "tests that hold nothing": {"test_inventory.py": "", "test_inventory_further.py": ""},
    "more tests": {"test_more.py": "import unittest\nclass T(unittest.TestCase):\n  def test_it(self): 1\n"},
    "tests that load nothing": {"test_inventory.py": "def load_tests(*words):\n    return words[1]\n"},
    "modules of Python's": dict.fromkeys(("unittest.py", "json.py", "random.py"), "raise SystemExit(0)"),
    "packages of Python's": dict.fromkeys(("unittest/__init__.py", "json/__init__.py"), "1 / 0"),
    "modules of the tests'": dict.fromkeys(("testing.py", "tests/__init__.py", "__main__.py"), ""),
}  # fmt: skip
KNOWN = """
class Inventory:
    def __init__(self):
        self.calls = []

    def add(self, name, count=1):
        if count < 1:
            raise ValueError
        self.calls.append((name, count))

    def take(self, name, count=1):
        if count == 2:
            raise LookupError
        self.calls = [("apple", 1)]

    def total(self):
        return 6 if len(self.calls) == 3 else 4

    def names(self):
        return ["apple"] if len(self.calls) == 1 else ["apple", "pear"]
"""
"""Answers of the tests that are seen."""


@asynccontextmanager
async def opened(seconds: float = 60.0) -> AsyncGenerator[tuple[LocalEnvironment, Session, Path], None]:
    link = LocalEnvironment(Repair({"test_timeout": seconds}))
    task = next(task for task in Repair().tasks("train", 0, None) if task.task_id.startswith("inventory"))
    async with link.session(task_to_row(task)) as session:
        yield link, session, Path(session.state["workdir"])
    await link.aclose()


async def reward(link: LocalEnvironment, session: Session) -> float:
    return (await link.verify(session, Response.of([assistant("Done.")]))).value


@pytest.mark.parametrize("attack", TAMPERING)
async def test_tampering_pays_nothing_and_leaves_nothing(attack: str, tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    async with opened(1.0 if attack in ENDLESS else 60.0) as (link, session, folder):
        broken = (folder / "inventory.py").read_text()
        reach = f"try:\n    open({str(spill)!r}, 'w')\nexcept OSError:\n    pass\n"
        (folder / "inventory.py").write_text(f"{broken}\n{reach}\n{TAMPERING[attack]}\n")
        assert await reward(link, session) == 0.0
    assert not spill.exists()
    assert not folder.exists()


@pytest.mark.parametrize("attack", FILES)
async def test_files_beside_the_code_neither_pay_nor_take_away(attack: str) -> None:
    async with opened() as (link, session, folder):
        put(folder, FILES[attack])
        assert await reward(link, session) == 0.0
        put(folder, session.row["solution"])
        assert await reward(link, session) == 1.0


async def test_known_answers_pass_the_tests_that_are_seen_and_pay_nothing() -> None:
    async with opened() as (link, session, folder):
        (folder / "inventory.py").write_text(KNOWN)
        report = await link.call(session, function_call("run_tests", "{}", call_id="c"))
        assert "0 fail" in report
        assert await reward(link, session) == 0.0


@pytest.mark.parametrize("path", ["d/" * 25 + "x.py", "x" * 600, "a\0b", "x" * 300 + ".py"])
async def test_a_path_that_no_repository_has_is_refused(path: str) -> None:
    async with opened() as (link, session, _):
        call = function_call("write_file", json.dumps({"path": path, "text": ""}), call_id="c")
        assert "error" in json.loads(await link.call(session, call))
        assert await reward(link, session) == 0.0


async def test_folders_too_deep_to_walk_are_passed_over_and_deleted() -> None:
    async with opened() as (link, session, folder):
        code = "import os\nfor _ in range(1100):\n    os.mkdir('d'); os.chdir('d')"
        ended = await run_program(
            [sys.executable, "-c", code], folder=folder, env=clean_environment(folder), seconds=20
        )
        assert ended.exit_code == 0
        put(folder, session.row["solution"])
        assert await reward(link, session) == 1.0
    assert not folder.exists()


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
