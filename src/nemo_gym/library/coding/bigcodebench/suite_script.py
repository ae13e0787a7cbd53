"""A script for a sandbox: it loads an answer, runs a suite of `unittest` on it, and prints the results.

The parent first reads the answer without running it, and refuses code that names what its tests run on. A
child process then loads the answer first and the tests after it, because the tests call and patch it in their
own process. It starts before the request is read, so that it never holds the secret of the request. After
each test the parent sends it a new word, and counts the result only when it comes back with the word. So an
answer that ends the process, prints results or changes `unittest` fails. It could still follow the protocol
itself: code in the process of its tests can't be kept from that. The script needs only the standard library.
"""

import ast
import builtins
import contextlib
import ctypes
import importlib
import importlib.util
import json
import os
import secrets
import select
import signal
import sys
import time
import traceback
import types
import unittest
from collections.abc import Callable
from typing import Any

MAX_BYTES = 1 << 16
"""The most bytes of the child that wait to be read."""
MAX_ERROR = 300
MODULE = "__test__"
"""The name of the module of the solution and its tests."""
CLASS = "TestCases"
PASSED = "passed"
MACHINERY = {
    *("import unittest", "import mock", "import gc", "import ctypes", "import builtins", "import __test__"),
    *("sys.modules", "os._exit", "sys._getframe", "sys._current_frames", "sys.settrace", "sys.setprofile"),
    *("currentframe", "f_back", "f_locals", "f_globals", "tb_frame", "globals", "__globals__"),
    *("__subclasses__", "__builtins__"),
}
"""The ways by which code reaches its tests or what runs them."""
_HEADER = 8
_WORD = 32
_NO_DUMPS = 4
"""PR_SET_DUMPABLE, which with 0 hides the memory and the files of a process from others."""


class Suite:
    """The child's side: it loads the solution, then the tests, and runs them."""

    def __init__(self, commands: int, reports: int) -> None:
        self._commands, self._reports = commands, reports
        self._read, self._write = os.read, os.write

    def run(self) -> None:
        """Do all of it; the pipes tell the parent how far it got."""
        _check_operands()
        # Files that the solution writes are no modules of the tests.
        sys.path[:] = [folder for folder in sys.path if folder not in ("", os.getcwd())]
        if folder := self._receive():
            sys.path.insert(0, folder)
        machinery = [*_MACHINERY, *_mocking(self._receive())]
        module = types.ModuleType(MODULE)
        module.__file__ = f"{MODULE}.py"
        sys.modules[MODULE] = module
        untouched = functions_of(machinery)
        originals = functions_of([builtins])
        suite, result = unittest.TestSuite, Result(self, untouched)
        exec(compile(self._receive(), "solution.py", "exec"), module.__dict__)  # noqa: S102
        if not (is_untouched(untouched) and is_untouched(originals)):
            raise RuntimeError("the solution changes unittest or Python's own functions")
        self.send("loaded")
        exec(compile(self._receive(), "tests.py", "exec"), module.__dict__)  # noqa: S102
        cases: type[unittest.TestCase] = getattr(module, CLASS)
        untouched.update(functions_of([cases]))
        suite(map(cases, unittest.TestLoader().getTestCaseNames(cases))).run(result)
        self.report("", PASSED, "")

    def report(self, name: str, outcome: str, error: str) -> None:
        """Send the result of a test, with the word that comes only now."""
        self.send("end")
        word = self._exactly(_WORD)
        self.send("\t".join([word, name, outcome, " ".join(error.split())[-MAX_ERROR:]]))

    def send(self, text: str) -> None:
        """Send a line."""
        data = f"{text}\n".encode("utf-8", "replace")
        while data:
            data = data[self._write(self._reports, data) :]

    def _receive(self) -> str:
        return self._exactly(int(self._exactly(_HEADER), 16))

    def _exactly(self, size: int) -> str:
        data = b""
        while len(data) < size:
            part = self._read(self._commands, size - len(data))
            if not part:
                raise EOFError
            data += part
        return data.decode("utf-8", "replace")


class Result(unittest.TestResult):
    """Reports the result of each test when it has ended. The first failure of a test stays."""

    def __init__(self, suite: Suite, untouched: dict[tuple[Any, str], Any]) -> None:
        super().__init__()
        self._suite, self._untouched = suite, untouched
        self._outcome, self._error = "", ""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._outcome, self._error = "", ""

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        if not is_untouched(self._untouched):
            self._outcome, self._error = "failed", "unittest or a test was changed while it ran"
        self._suite.report(str(getattr(test, "_testMethodName", "")), self._outcome or "failed", self._error)

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._outcome = self._outcome or PASSED

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._outcome = self._outcome or PASSED

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._outcome = "failed"

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._outcome, self._error = "skipped", reason

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._fail(err)

    def addError(self, test: Any, err: Any) -> None:
        self._fail(err)
        if not isinstance(
            test, unittest.TestCase
        ):  # The class or the module has failed before or after its tests.
            self._suite.report("", "failed", self._error)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self._fail(err)

    def _fail(self, err: Any) -> None:
        if self._outcome != "failed":
            self._outcome, self._error = "failed", describe(err[1])


def describe(error: BaseException) -> str:
    """The class and the message of an exception."""
    with contextlib.suppress(BaseException):
        return "".join(traceback.format_exception_only(error))[-MAX_ERROR:]
    return type(error).__name__


_MACHINERY = (
    unittest.case,
    unittest.TestCase,
    unittest.IsolatedAsyncioTestCase,
    unittest.TestResult,
    unittest.TestSuite,
    unittest.BaseTestSuite,
    unittest.TestLoader,
    Result,
    Suite,
)


def _mocking(name: str) -> list[Any]:
    """The module of mocks and its base class; none without its name, because its import takes long."""
    if not name:
        return []
    module: Any = importlib.import_module(name)
    return [module, module.NonCallableMock]


def functions_of(owners: Any) -> dict[tuple[Any, str], Any]:
    """The functions and classes of modules and classes, by owner and name."""
    members = [(owner, name, value) for owner in owners for name, value in owner.__dict__.items()]
    return {
        (owner, name): value
        for owner, name, value in members
        if callable(value) or isinstance(value, classmethod | staticmethod)
    }


def is_untouched(functions: dict[tuple[Any, str], Any]) -> bool:
    """Whether all of them are still in their places."""
    return all(owner.__dict__.get(name) is value for (owner, name), value in functions.items())


class _Stranger:
    """Something that no value of a test equals."""


def _check_operands() -> None:
    """Let the assertions of equality refuse a value that equals whatever it is compared with."""
    for name, method in list(vars(unittest.TestCase).items()):
        if (
            name.startswith("assert")
            and ("Equal" in name or name == "assertIn")
            and isinstance(method, types.FunctionType)
        ):
            setattr(unittest.TestCase, name, _checked(method))


def _checked(method: Callable[..., Any]) -> Callable[..., Any]:
    def assertion(case: unittest.TestCase, *operands: Any, **keywords: Any) -> Any:
        for operand in operands[:2]:
            with contextlib.suppress(Exception):
                equals_all = bool(operand == _Stranger())
                if equals_all:
                    break
        else:
            return method(case, *operands, **keywords)
        raise case.failureException("a value equals whatever it is compared with")

    return assertion


class RefusedAnswer(Exception):
    """The answer is not run; the message is the reason."""


def completed(request: dict[str, Any]) -> str:
    """The code of an answer. The head of the function comes before an answer that defines it, so that its
    imports are there, and before an answer that is only its body.

    Raises:
        RefusedAnswer: it is no Python, or names what its tests run on although the reference does not.
    """
    head, answer = request["head"], request["answer"]
    tree = _parsed(answer)
    is_whole = tree is not None and any(
        getattr(node, "name", "") == request["entry_point"] for node in tree.body
    )
    code = f"{head}\n    pass\n{answer}" if is_whole else f"{head}\n{answer}"
    tree, reference = _parsed(code), _parsed(request["reference"])
    if tree is None:
        raise RefusedAnswer("malformed")
    if names := _machinery_in(tree) - (_machinery_in(reference) if reference else set()):
        raise RefusedAnswer("tampering", ", ".join(sorted(names)))
    return code


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _machinery_in(tree: ast.Module) -> set[str]:
    return {name for node in ast.walk(tree) for name in _names(node)} & MACHINERY


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return [name, f"{owner}.{name}"]
        case ast.Attribute(attr=name):
            return [name]
        case ast.Import(names=aliases):
            return [f"import {part}" for alias in aliases for part in alias.name.split(".")]
        case ast.ImportFrom(module=module, names=aliases):
            whole = [f"{module}.{alias.name}" for alias in aliases]
            return [*whole, *(f"import {part}" for name in whole for part in name.split("."))]
        case _:
            return []


class Parent:
    """The parent's side: it hands over the solution and the tests, and reads the results."""

    def __init__(self, child: int, commands: int, reports: int, deadline: float) -> None:
        self._child, self._commands, self._reports, self._deadline = child, commands, reports, deadline
        self._rest = b""
        self.outcomes: dict[str, tuple[str, str]] = {}

    def run(self, request: dict[str, Any]) -> str:
        """Why it ended."""
        try:
            if absent := missing(request["libraries"], request["packages"]):
                self.outcomes[""] = "missing", ", ".join(absent)
                return "missing"
            code = completed(request)
            self._hand_over(request["packages"])
            self._hand_over("unittest.mock" if "mock" in request["test"] else "")
            self._hand_over(code)
            if (line := self._line()) != "loaded":
                self.outcomes[""] = "failed", line
                return "load"
            self._hand_over(request["test"])
            while "" not in self.outcomes:
                if not self._take_result():
                    return "protocol"
            return "finished"
        except RefusedAnswer as refusal:
            self.outcomes[""] = "refused", str(refusal.args[-1])
            return str(refusal.args[0])
        except TimeoutError:
            return "timeout"
        except (EOFError, OSError):
            return "ended"
        finally:
            with contextlib.suppress(OSError):
                os.killpg(self._child, signal.SIGKILL)

    def _take_result(self) -> bool:
        line, word = self._line(), secrets.token_hex(_WORD // 2)
        if line != "end":
            self.outcomes[""] = "failed", line
            return False
        self._send(word.encode())
        parts = self._line().split("\t", 3)
        if len(parts) < 4 or parts[0] != word:
            return False
        _, name, outcome, error = parts
        if self.outcomes.get(name, (PASSED,))[0] == PASSED:
            self.outcomes[name] = outcome, error
        return True

    def _hand_over(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        self._send(f"{len(data):0{_HEADER}x}".encode() + data)

    def _send(self, data: bytes) -> None:
        while data:
            _, ready, _ = select.select([], [self._commands], [], self._left())
            if ready:
                data = data[os.write(self._commands, data[: select.PIPE_BUF]) :]

    def _line(self) -> str:
        while b"\n" not in self._rest:
            if len(self._rest) > MAX_BYTES:
                raise EOFError
            ready, _, _ = select.select([self._reports], [], [], self._left())
            if ready:
                data = os.read(self._reports, MAX_BYTES)
                if not data:
                    raise EOFError
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace")

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def missing(libraries: list[str], folder: str) -> list[str]:
    """The libraries that can't be imported here."""
    if folder:
        sys.path.insert(0, folder)
    return [name for name in libraries if not _is_here(name)]


def _is_here(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def main() -> None:
    """Start the child, then read the request and print the answer."""
    commands, reports = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(commands[1])
        os.close(reports[0])
        _be_child(commands[0], reports[1])
    os.close(commands[0])
    os.close(reports[1])
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    ctypes.CDLL(None).prctl(_NO_DUMPS, 0)
    request = json.loads(sys.stdin.buffer.read())
    start = time.monotonic()
    parent = Parent(child, commands[1], reports[0], start + request["seconds"])
    reason = parent.run(request)
    seconds = time.monotonic() - start
    answer = {"nonce": request["nonce"], "reason": reason, "outcomes": parent.outcomes, "seconds": seconds}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


def _be_child(commands: int, reports: int) -> None:
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.environ["MPLBACKEND"] = "Agg"
    leave, suite = os._exit, Suite(commands, reports)
    try:
        suite.run()
    except BaseException as error:
        with contextlib.suppress(BaseException):
            suite.send(" ".join(describe(error).split()))
    leave(0)


if __name__ == "__main__":
    main()
