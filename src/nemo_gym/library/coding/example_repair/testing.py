"""Run as a script in two sandboxes: tests in one, the code that they test in the other.

The tests import the code's modules as stand-ins. What they get or call goes out as a line of JSON, and what
the code did comes back as one: a plain value, an object's number, or an exception. So the code sees its
arguments and nothing else: neither the tests, nor what they expect, nor the process that compares and counts.
It can lie about its own values only, which is to give a wrong answer. Standard library only.
"""

import builtins
import contextlib
import importlib
import importlib.util
import io
import json
import os
import sys
import traceback
import types
import unittest
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from typing import IO, Any, cast

MOST_BYTES = 1 << 20
"""Of one line."""

_MOST_DEPTH = 50
_MOST_TEXT = 4000
_PLAIN = (type(None), bool, int, float, str)
_SERIES: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class SubjectError(Exception):
    """The code raised something that is no exception of Python's own."""


class SubjectGone(Exception):
    """The code's process has ended, or does not keep to the protocol."""


def encode(value: Any, number_of: Callable[[object], int], depth: int = 0) -> Any:
    """A value as JSON, if it is of exactly one of Python's own types; else as the number of an object.

    Raises:
        ValueError: it is too deep.
    """
    kind = cast("type[object]", type(value))
    if kind in _PLAIN:
        return value
    if depth == _MOST_DEPTH:
        raise ValueError(f"the value is more than {_MOST_DEPTH} levels deep")
    if kind is bytes:
        return ["bytes", value.hex()]
    if kind is dict:
        return ["dict", [[encode(each, number_of, depth + 1) for each in pair] for pair in value.items()]]
    if _SERIES.get(kind.__name__) is kind:
        return [kind.__name__, [encode(each, number_of, depth + 1) for each in value]]
    return ["object", number_of(value)]


def decode(data: Any, object_of: Callable[[int], object]) -> Any:
    """The value of what `encode` made.

    Raises:
        ValueError, TypeError: nothing of that kind is made by it.
    """
    if type(data) in _PLAIN:
        return data
    kind, content = data
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "dict":
        return {decode(key, object_of): decode(value, object_of) for key, value in content}
    if kind in _SERIES:
        return _SERIES[kind](decode(each, object_of) for each in content)
    if kind == "object" and type(content) is int:
        return object_of(content)
    raise ValueError(f"no value: {kind!r}")


class Subject:
    """The code's side: does what the tests ask for."""

    def __init__(self) -> None:
        self._objects: list[object] = []

    def serve(self, questions: IO[str], answers: IO[str]) -> None:
        """Until nobody asks any more."""
        for line in questions:
            answers.write(json.dumps(self._answer(line)) + "\n")
            answers.flush()

    def _answer(self, line: str) -> list[Any]:
        try:
            verb, of, *rest = json.loads(line)
            if verb == "import":
                value: Any = importlib.import_module(of)
            elif verb == "get":
                value = getattr(self._objects[of], rest[0])
            else:
                values, named = decode(rest[0], self._object), decode(rest[1], self._object)
                function: Any = self._objects[of]
                value = function(*values, **named)
            return ["value", encode(value, self._keep)]
        except BaseException as error:
            return ["error", *_described(error)]

    def _object(self, number: int) -> object:
        return self._objects[number]

    def _keep(self, value: object) -> int:
        self._objects.append(value)
        return len(self._objects) - 1


def _described(error: BaseException) -> list[str]:
    """Which of Python's own exceptions it is, what it says, and where it comes from."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind]
    text, trace = "", ""
    with contextlib.suppress(Exception):
        text = str(error)[:_MOST_TEXT]
        trace = "".join(traceback.format_exception(error))[-_MOST_TEXT:]
    return [kinds[0] if kinds else "", text, trace]


class Remote:
    """The tests' side: asks, and gives what comes back."""

    def __init__(self, questions: IO[str], answers: IO[bytes]) -> None:
        self._questions = questions
        self._answers = answers

    def ask(self, verb: str, of: object, *rest: Any) -> Any:
        """A value of the code's.

        Raises:
            SubjectGone: there is no answer, or none that can be understood.
            Exception: what the code raised.
        """
        self._questions.write(json.dumps([verb, of, *rest]) + "\n")
        self._questions.flush()
        line = self._answers.readline(MOST_BYTES + 1)
        try:
            answer = json.loads(line)
            kind, content, *more = answer
            if kind == "value" and not more:
                return decode(content, self._stand_in)
            said, trace = map(str, more)
            failure = _exception(content, said)
        except (ValueError, TypeError, RecursionError, MemoryError):
            raise SubjectGone("the code under test gives no answer") from None
        failure.add_note(trace[-_MOST_TEXT:])
        raise failure

    def call(self, of: int, values: Sequence[Any], named: dict[str, Any]) -> Any:
        """What a function or an object of the code's returns."""
        return self.ask("call", of, encode(list(values), _number), encode(named, _number))

    def _stand_in(self, number: int) -> object:
        return StandIn(self, number)


class StandIn:
    """An object of the code's. It equals nothing but itself and has no truth of its own, so that no
    comparison depends on it."""

    def __init__(self, remote: Remote, number: int) -> None:
        self._remote, self._number = remote, number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._remote.ask("get", self._number, name)

    def __call__(self, *values: Any, **named: Any) -> Any:
        return self._remote.call(self._number, values, named)

    def __bool__(self) -> bool:
        raise TypeError("an object of the code under test is neither true nor false: compare a plain value")


class StandInModule(types.ModuleType):
    """A module of the code's."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["_stand_in"], name)


class Finder:
    """Finds the code's modules after all others: none stands for a module of Python or of the tests."""

    def __init__(self, remote: Remote, names: Sequence[str]) -> None:
        self._remote = remote
        self._names = set(names)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in self._names:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return StandInModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["_stand_in"] = self._remote.ask("import", module.__name__)


def _number(value: object) -> int:
    if isinstance(value, StandIn):
        return value.__dict__["_number"]
    raise TypeError(f"{type(value).__name__} can't be handed to the code under test: only plain values can")


def _exception(kind: Any, said: str) -> Exception:
    kind_of_builtin = getattr(builtins, kind, None) if isinstance(kind, str) else None
    if isinstance(kind_of_builtin, type) and issubclass(kind_of_builtin, Exception):
        with contextlib.suppress(TypeError):
            return kind_of_builtin(said)
    return SubjectError(f"{kind}: {said}")


def _private_streams() -> tuple[int, int]:
    """Standard input and output under other numbers. What is printed goes to standard error."""
    numbers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return numbers


def run_subject(folder: str) -> None:
    """Serve the code in a folder."""
    source, target = _private_streams()
    sys.dont_write_bytecode = True
    sys.path.append(os.path.abspath(folder))  # last, so that nothing in it stands for a module of Python
    with os.fdopen(source, "r") as questions, os.fdopen(target, "w") as answers:
        Subject().serve(questions, answers)


def run_tests(folder: str, *names: str) -> None:
    """Run `test_*.py` in a folder on the modules of these names, and report: a test that was skipped has not
    passed."""
    source, target = _private_streams()
    sys.dont_write_bytecode = True
    folder = os.path.abspath(folder)
    sys.path.append(folder)
    report = io.StringIO()
    with os.fdopen(source, "rb") as answers, os.fdopen(target, "w") as questions:
        sys.meta_path.append(Finder(Remote(questions, answers), names))  # type: ignore[arg-type]
        suite = unittest.TestLoader().discover(folder, top_level_dir=folder)
        result = unittest.TextTestRunner(stream=report).run(suite)
        bad = (result.failures, result.errors, result.unexpectedSuccesses, result.skipped)
        end = {"ran": result.testsRun, "bad": sum(map(len, bad)), "report": report.getvalue()[-16_000:]}
        questions.write(json.dumps(end) + "\n")


if __name__ == "__main__":
    {"subject": run_subject, "tests": run_tests}[sys.argv[1]](*sys.argv[2:])
