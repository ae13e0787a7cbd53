"""A script for a sandbox: it runs untrusted code on one input after the other.

The first line of its standard input is the program, and every further line a case. For each case a line goes
to standard output, with the number and the nonce of the case and with what the code printed or returned. The
code gets inputs only; the expected values are outside the sandbox. It needs only the standard library.

Where the program says `together`, all cases run in the process of the script, each with new global names.
That is fast, and the code can do whatever it wants to the script. But all that it can send is outputs, and
those have to be right. A case that fails there may have failed because of the one before it, so the script
ends without an answer, and the case runs once more `apart`: in a child process of its own.
"""

import atexit
import builtins
import json
import math
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from typing import Any, cast

MAX_DEPTH = 50
MAX_ERROR = 2000
MAX_DIGITS = 50_000
"""The most digits of a number that the code writes or reads."""
PLAIN = (type(None), bool, int, str)
SERIES: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}

Case = dict[str, Any]


def encode(value: Any, depth: int = 0) -> Any:
    """A value as JSON that keeps its type, when that is exactly one of Python's own plain types.

    Raises:
        TypeError, ValueError: it is of another type, or nested too deep.
    """
    kind = cast("type[object]", type(value))
    if kind in PLAIN:
        return value
    if depth == MAX_DEPTH:
        raise ValueError(f"the value is more than {MAX_DEPTH} levels deep")
    if kind is float:
        return value if math.isfinite(value) else ["float", repr(value)]
    if kind is complex:
        return ["complex", [encode(value.real), encode(value.imag)]]
    if kind is bytes:
        return ["bytes", value.hex()]
    if kind is dict:
        return ["dict", [[encode(each, depth + 1) for each in pair] for pair in value.items()]]
    if SERIES.get(kind.__name__) is kind:
        return [kind.__name__, [encode(each, depth + 1) for each in value]]
    raise TypeError(f"a value of the type {kind.__name__} is not a plain value")


def decode(data: Any) -> Any:
    """The value of a result of `encode`.

    Raises:
        ValueError, TypeError: it is not a result of `encode`.
    """
    if type(data) in PLAIN or type(data) is float:
        return data
    kind, content = data
    if kind == "float":
        return float(content)
    if kind == "complex":
        real, imaginary = map(decode, content)
        return complex(real, imaginary)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "dict":
        return {decode(key): decode(value) for key, value in content}
    if kind in SERIES:
        return SERIES[kind](decode(each) for each in content)
    raise ValueError("no value")


IMPORTS = """
import bisect, collections, copy, functools, heapq, itertools, math, operator, random, re, string, sys
from bisect import bisect_left, bisect_right, insort
from collections import Counter, OrderedDict, defaultdict, deque
from functools import cache, cmp_to_key, lru_cache, reduce
from heapq import heapify, heappop, heappush, heappushpop, heapreplace, nlargest, nsmallest
from itertools import accumulate, chain, combinations, count, cycle, groupby, permutations, product
from math import ceil, comb, factorial, floor, gcd, inf, isqrt, lcm, log, log2, sqrt
from typing import *
"""
"""Names that the programs of contests use without an import."""


STOP_S = 1.0
MAX_TEXT = 8 << 20
"""When its answers took so many seconds or have so many characters, the script leaves the other cases to its
next run, so that a wrong answer ends the tests."""
STREAMS = ((0, "r", "surrogateescape"), (1, "w", "surrogateescape"), (2, "w", "backslashreplace"))


def serve(commands: int, answers: int) -> None:
    """Answer the cases in turn, up to the first one that fails unless the program asks for every case."""
    with os.fdopen(commands, "rb") as lines:
        program = json.loads(next(lines))
        names: dict[str, Any] = {}
        exec(IMPORTS, names)  # noqa: S102
        if program["together"]:
            serve_together(program, lines, names, answers)
        else:
            serve_apart(program, lines, names, (commands, answers))


def serve_together(
    program: dict[str, Any], lines: Iterable[bytes], names: dict[str, Any], answers: int
) -> None:
    """Answer the cases in this process, up to the first one that does not end well in it. An error in the
    first case is an answer, because nothing ran before it."""
    stage = Stage(program, names)
    signal.setitimer(signal.ITIMER_REAL, STOP_S)  # The signal ends this process.
    size = 0
    for number, line in enumerate(list(lines)):
        case = json.loads(line)
        start = time.monotonic()
        status, output = stage.play(case)
        seconds = time.monotonic() - start
        size += len(output)
        late = seconds > float(case["seconds"])
        if late or (number and status != "ok") or len(output) > program["max_bytes"] or size > MAX_TEXT:
            return
        _answer(answers, case, status, output, stage.errors(), seconds)
        if status != "ok":
            return


def serve_apart(
    program: dict[str, Any], lines: Iterable[bytes], names: dict[str, Any], private: tuple[int, int]
) -> None:
    """Answer each case with a child process."""
    seconds, size = 0.0, 0
    for line in lines:
        case = json.loads(line)
        result = Run(program, case, names, private).result()
        if result is None:  # This is the child, which ends as every program does.
            return
        _answer(private[1], case, *result)
        status, output, _, taken = result
        seconds, size = seconds + taken, size + len(output)
        failed = status != "ok" and not program["every_case"]
        if failed or seconds > STOP_S or size > MAX_TEXT:
            return


class Stage:
    """Plays cases in this process, with a new standard input and output for each."""

    def __init__(self, program: dict[str, Any], names: dict[str, Any]) -> None:
        self._program, self._names = program, names
        self._code: Any = None
        self._files = [_file_of(b"") for _ in STREAMS]
        self._recursion = sys.getrecursionlimit()

    def play(self, case: Case) -> tuple[str, bytes]:
        """Whether the code ends well, and what it prints or returns."""
        self._open_streams(case["input"].encode("utf-8", "replace"))
        names = {**self._names, "__builtins__": builtins}
        status, value = "ok", b""
        try:
            value = self._run(case, names)
        except SystemExit as end:
            if end.code is not None and not (isinstance(end.code, int) and end.code & 0xFF == 0):
                status = "error"
                os.write(2, str(end.code).encode("utf-8", "replace"))
        except BaseException as error:
            status = "error"
            os.write(2, _last_words(error))
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        names.clear()  # Files among them close now, and not while the next case runs.
        if self._program["function"] is not None:
            return status, value
        return status, os.pread(self._files[1], self._program["max_bytes"] + 1, 0)

    def errors(self) -> bytes:
        """The end of what the code wrote to standard error."""
        return os.pread(self._files[2], MAX_ERROR, max(0, os.fstat(self._files[2]).st_size - MAX_ERROR))

    def _run(self, case: Case, names: dict[str, Any]) -> bytes:
        function = self._program["function"]
        if self._code is None:
            self._code = compile(self._program["code"], "solution.py", "exec")
        names["__name__"] = "__main__" if function is None else "solution"
        exec(self._code, names)  # noqa: S102
        return b"" if function is None else _returned(names, function, case)

    def _open_streams(self, text: bytes) -> None:
        sys.setrecursionlimit(self._recursion)
        sys.argv[:] = ["solution.py"]
        sys.stdin = sys.__stdin__ = sys.stdout = sys.__stdout__ = sys.stderr = sys.__stderr__ = None
        for (number, _, _), file in zip(STREAMS, self._files, strict=True):
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.dup2(file, number)
        _write(self._files[0], text)
        os.lseek(self._files[0], 0, os.SEEK_SET)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
            for number, mode, errors in STREAMS
        )
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


class Run:
    """The code's run on one case."""

    def __init__(
        self, program: dict[str, Any], case: Case, names: dict[str, Any], private: tuple[int, ...]
    ) -> None:
        self._program, self._case, self._names, self._private = program, case, names, private

    def result(self) -> tuple[str, bytes, bytes, float] | None:
        """The status, the output, the errors and the seconds; None in the child."""
        output, errors = os.pipe(), os.pipe()
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in (*self._private, output[0], errors[0]):
                os.dup2(nothing, number, inheritable=False)
            self._child(output[1], errors[1])
            return None
        os.close(output[1])
        os.close(errors[1])
        reader = Reader(child, (output[0], errors[0]), int(self._program["max_bytes"]))
        status = reader.read(start + float(self._case["seconds"]))
        return status, bytes(reader.texts[0]), bytes(reader.texts[1]), time.monotonic() - start

    def _child(self, output: int, errors: int) -> None:
        function = self._program["function"]
        os.dup2(errors, 2)
        names = {**self._names, "__name__": "__main__", "__builtins__": builtins}
        if function is None:
            os.dup2(output, 1)
            os.dup2(_file_of(self._case["input"].encode("utf-8", "replace")), 0)
            exec(compile(self._program["code"], "solution.py", "exec"), names)  # noqa: S102
            return
        try:
            names["__name__"] = "solution"
            exec(compile(self._program["code"], "solution.py", "exec"), names)  # noqa: S102
            _write(output, _returned(names, function, self._case))
        except BaseException as error:
            os.write(2, _last_words(error))
            os._exit(1)
        os._exit(0)


class Reader:
    """Reads what a child writes, until it ends or exceeds a limit, and ends it.

    Args:
        child: the number of its process.
        pipes: its output, and its errors, of which only the end is kept.
    """

    def __init__(self, child: int, pipes: tuple[int, int], max_bytes: int) -> None:
        self._child, self._pipes, self._max_bytes = child, pipes, max_bytes
        self._open = set(pipes)
        self.texts = (bytearray(), bytearray())

    def read(self, deadline: float) -> str:
        """Why the child ended: `ok`, `error`, `timeout` or `limit`."""
        code: int | None = None
        status = ""
        while not status:
            self._drain(0.02 if code is None else 0.0)
            if len(self.texts[0]) > self._max_bytes:
                status = "limit"
            elif code is not None:
                status = "error" if code else "ok"
            elif time.monotonic() > deadline:
                status = "timeout"
            else:
                code = self._code()
        self._kill()
        if code is None:
            os.waitpid(self._child, 0)
        for number in self._pipes:
            os.close(number)
        del self.texts[0][self._max_bytes :]
        return status

    def _code(self) -> int | None:
        number, status = os.waitpid(self._child, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if number else None

    def _kill(self) -> None:
        """End the child and the processes that it left in its group."""
        for end in (os.killpg, os.kill):
            try:
                end(self._child, signal.SIGKILL)
            except OSError:
                continue

    def _drain(self, seconds: float) -> None:
        """Read what is there, or wait a moment for it."""
        if not self._open:
            time.sleep(min(seconds, 0.001))
        ready = select.select(list(self._open), [], [], seconds if self._open else 0)[0]
        while ready and len(self.texts[0]) <= self._max_bytes:
            for number in ready:
                data = os.read(number, 1 << 16)
                text = self.texts[self._pipes.index(number)]
                text += data
                if not data:
                    self._open.discard(number)
            del self.texts[1][:-MAX_ERROR]
            ready = select.select(list(self._open), [], [], 0)[0] if seconds == 0 else []


def _returned(names: dict[str, Any], function: str, case: Case) -> bytes:
    """What the function returns for a case, as JSON."""
    subject: Any = names.get(function)
    if subject is None and "Solution" in names:
        subject = getattr(names["Solution"](), function, None)
    if subject is None:
        raise NameError(f"the code defines no {function}")
    return json.dumps(encode(subject(*decode(case["arguments"])))).encode()


def _answer(answers: int, case: Case, status: str, output: bytes, errors: bytes, seconds: float) -> None:
    answer = {
        "id": case["id"],
        "nonce": case["nonce"],
        "status": status,
        "output": output.decode("utf-8", "replace"),
        "error": errors.decode("utf-8", "replace")[-MAX_ERROR:],
        "seconds": seconds,
    }
    _write(answers, json.dumps(answer).encode() + b"\n")


def _last_words(error: BaseException) -> bytes:
    return "".join(traceback.format_exception(error))[-MAX_ERROR:].encode("utf-8", "replace")


def _write(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]


def _file_of(data: bytes) -> int:
    number = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)  # noqa: S108
    _write(number, data)
    os.lseek(number, 0, os.SEEK_SET)
    return number


def main() -> None:
    """Keep the standard streams private, and serve."""
    commands, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.chdir("/tmp")  # noqa: S108
    sys.argv = ["solution.py"]
    builtins.exit = builtins.quit = sys.exit
    sys.set_int_max_str_digits(MAX_DIGITS)
    serve(commands, answers)


if __name__ == "__main__":
    main()
