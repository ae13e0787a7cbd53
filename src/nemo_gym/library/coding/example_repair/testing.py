"""A script for two sandboxes: one runs the tests, and the other runs the code that they test.

The tests import stand-ins for the code's modules. Every attribute and call of a stand-in is sent as a line
of JSON, and the result comes back as a line: a plain value, the number of an object, or an exception. So the
code sees only its arguments, and not the tests, their expectations or the process that counts. It can only
return wrong values, and then it fails the tests. The script needs only the standard library.
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

MAX_BYTES = 1 << 20
"""The most bytes of one line."""

_MAX_DEPTH = 50
_MAX_TEXT = 4000
_PLAIN = (type(None), bool, int, float, str)
_SERIES: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class SubjectError(Exception):
    """The code raised an exception that is not one of Python's own."""


class SubjectGone(Exception):
    """The code's process ended, or does not follow the protocol."""


def encode(value: Any, number_of: Callable[[object], int], depth: int = 0) -> Any:
    """A value as JSON when its type is one of Python's own, or else the number of an object.

    Raises:
        ValueError: the value is nested too deep.
    """
    kind = cast("type[object]", type(value))
    if kind in _PLAIN:
        return value
    if depth == _MAX_DEPTH:
        raise ValueError(f"the value is more than {_MAX_DEPTH} levels deep")
    if kind is bytes:
        return ["bytes", value.hex()]
    if kind is dict:
        return ["dict", [[encode(each, number_of, depth + 1) for each in pair] for pair in value.items()]]
    if _SERIES.get(kind.__name__) is kind:
        return [kind.__name__, [encode(each, number_of, depth + 1) for each in value]]
    return ["object", number_of(value)]


def decode(data: Any, object_of: Callable[[int], object]) -> Any:
    """The value of a result of `encode`.

    Raises:
        ValueError, TypeError: it is not a result of `encode`.
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
    """The code's side: it answers the questions of the tests."""

    def __init__(self) -> None:
        self._objects: list[object] = []

    def serve(self, questions: IO[str], answers: IO[str]) -> None:
        """Answer every question until the stream ends."""
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
                values, keywords = decode(rest[0], self._object), decode(rest[1], self._object)
                function: Any = self._objects[of]
                value = function(*values, **keywords)
            return ["value", encode(value, self._keep)]
        except BaseException as error:
            return ["error", *_describe(error)]

    def _object(self, number: int) -> object:
        return self._objects[number]

    def _keep(self, value: object) -> int:
        self._objects.append(value)
        return len(self._objects) - 1


def _describe(error: BaseException) -> list[str]:
    """The name of Python's own exception class, the message and the traceback of an exception."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind]
    text, trace = "", ""
    with contextlib.suppress(Exception):
        text = str(error)[:_MAX_TEXT]
        trace = "".join(traceback.format_exception(error))[-_MAX_TEXT:]
    return [kinds[0] if kinds else "", text, trace]


class Remote:
    """The tests' side: it sends questions and returns the answers."""

    def __init__(self, questions: IO[str], answers: IO[bytes]) -> None:
        self._questions = questions
        self._answers = answers

    def ask(self, verb: str, of: object, *rest: Any) -> Any:
        """The answer of the code to a question.

        Raises:
            SubjectGone: there is no answer, or it does not follow the protocol.
            Exception: the exception that the code raised.
        """
        self._questions.write(json.dumps([verb, of, *rest]) + "\n")
        self._questions.flush()
        line = self._answers.readline(MAX_BYTES + 1)
        try:
            answer = json.loads(line)
            kind, content, *more = answer
            if kind == "value" and not more:
                return decode(content, self._stand_in)
            message, trace = map(str, more)
            failure = _exception(content, message)
        except (ValueError, TypeError, RecursionError, MemoryError):
            raise SubjectGone("the code under test gives no answer") from None
        failure.add_note(trace[-_MAX_TEXT:])
        raise failure

    def call(self, of: int, values: Sequence[Any], keywords: dict[str, Any]) -> Any:
        """The result of a function or an object of the code."""
        return self.ask("call", of, encode(list(values), _number), encode(keywords, _number))

    def _stand_in(self, number: int) -> object:
        return StandIn(self, number)


class StandIn:
    """An object of the code. It equals only itself and is neither true nor false, so that the result of no
    comparison depends on the code."""

    def __init__(self, remote: Remote, number: int) -> None:
        self._remote, self._number = remote, number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._remote.ask("get", self._number, name)

    def __call__(self, *values: Any, **keywords: Any) -> Any:
        return self._remote.call(self._number, values, keywords)

    def __bool__(self) -> bool:
        raise TypeError("an object of the code under test is neither true nor false: compare a plain value")


class StandInModule(types.ModuleType):
    """A module of the code."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["_stand_in"], name)


class Finder:
    """Finds the code's modules after all others, so that none replaces a module of Python or of the tests."""

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


def _exception(kind: Any, message: str) -> Exception:
    kind_of_builtin = getattr(builtins, kind, None) if isinstance(kind, str) else None
    if isinstance(kind_of_builtin, type) and issubclass(kind_of_builtin, Exception):
        with contextlib.suppress(TypeError):
            return kind_of_builtin(message)
    return SubjectError(f"{kind}: {message}")


def _private_streams() -> tuple[int, int]:
    """Copies of standard input and output. Everything that is printed then goes to standard error."""
    numbers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return numbers


def run_subject(folder: str) -> None:
    """Serve the code in a folder."""
    source, target = _private_streams()
    sys.dont_write_bytecode = True
    sys.path.append(os.path.abspath(folder))  # The last place, so that no file replaces a module of Python.
    with os.fdopen(source, "r") as questions, os.fdopen(target, "w") as answers:
        Subject().serve(questions, answers)


def run_tests(folder: str, *names: str) -> None:
    """Run `test_*.py` in a folder on the modules of these names, and report. A test that is skipped counts as
    a failure."""
    source, target = _private_streams()
    sys.dont_write_bytecode = True
    folder = os.path.abspath(folder)
    sys.path.append(folder)
    report = io.StringIO()
    with os.fdopen(source, "rb") as answers, os.fdopen(target, "w") as questions:
        sys.meta_path.append(Finder(Remote(questions, answers), names))  # type: ignore[arg-type]
        suite = unittest.TestLoader().discover(folder, top_level_dir=folder)
        result = unittest.TextTestRunner(stream=report).run(suite)
        failures = (result.failures, result.errors, result.unexpectedSuccesses, result.skipped)
        count = sum(map(len, failures))
        end = {"count": result.testsRun, "failures": count, "report": report.getvalue()[-16_000:]}
        questions.write(json.dumps(end) + "\n")


if __name__ == "__main__":
    {"subject": run_subject, "tests": run_tests}[sys.argv[1]](*sys.argv[2:])
