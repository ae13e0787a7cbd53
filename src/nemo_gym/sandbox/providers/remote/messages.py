"""The messages between the remote provider and a sandbox server: JSON objects, and files as bytes.

An order is one operation. Its key makes it safe to send it again: the server carries it out once. The answer
to an order that takes longer than the server's patience has status 202, and the client asks for it again by
the key.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

import msgspec

from nemo_gym.sandbox import errors
from nemo_gym.sandbox.errors import InvalidSandbox, NotIsolated, SandboxFileError, SandboxUnreachable
from nemo_gym.sandbox.program import Program, ProgramResult
from nemo_gym.sandbox.spec import SandboxPtySpec, SandboxSpec

ORDERS: Final = "/sandboxes/orders"
ANSWERS: Final = "/sandboxes/answers"
CANCELS: Final = "/sandboxes/cancels"
LEASES: Final = "/sandboxes/leases"
UPLOADS: Final = "/sandboxes/uploads"
FILES: Final = "/sandboxes/files"
PENDING: Final = 202
"""The status of an answer that is not there yet."""
REFUSED: Final = 409
"""The status of an answer that is a `Refusal`."""
ORDER_HEADER: Final = "x-gym-order"
"""The header with the order of an upload, whose body is the file."""
BYTES: Final = "application/octet-stream"
MOST_OUTPUT: Final = 64 << 20
"""Bytes of each output of a program."""


class SpecFields(msgspec.Struct):
    """A `SandboxSpec`. Contents of files are bytes, because text can hold what JSON can't."""

    image: str | None = None
    ttl_s: float | None = None
    ready_timeout_s: float | None = None
    workdir: str | None = None
    env: dict[str, str] = {}
    files: dict[str, bytes] = {}
    metadata: dict[str, str] = {}
    resources: dict[str, Any] = {}
    entrypoint: list[str] | None = None
    provider_options: dict[str, Any] = {}
    ports: list[int] = []

    @classmethod
    def of(cls, spec: SandboxSpec) -> SpecFields:
        fields: dict[str, Any] = {name: getattr(spec, name) for name in cls.__struct_fields__}
        fields["files"] = {path: _bytes(text) for path, text in spec.files.items()}
        fields |= {"resources": asdict(spec.limits), "ports": list(spec.ports)}
        return cls(**fields)

    def spec(self) -> SandboxSpec:
        fields: dict[str, Any] = msgspec.structs.asdict(self)
        fields["files"] = {path: _text(data) for path, data in self.files.items()}
        return SandboxSpec(**fields)


class ProgramFields(msgspec.Struct):
    """A `Program`, with its texts as bytes."""

    code: bytes
    stdin: bytes = b""
    files: dict[str, bytes] = {}
    arguments: list[bytes] = []
    timeout_s: float = 10.0
    memory_mib: int = 512
    max_output_bytes: int = 1 << 20

    @classmethod
    def of(cls, program: Program) -> ProgramFields:
        return cls(
            _bytes(program.code),
            _bytes(program.stdin),
            {path: _bytes(text) for path, text in program.files.items()},
            [_bytes(argument) for argument in program.arguments],
            program.timeout_s,
            program.memory_mib,
            program.max_output_bytes,
        )

    def program(self) -> Program:
        if self.max_output_bytes > MOST_OUTPUT:
            raise InvalidSandbox(f"Program.max_output_bytes: a server returns at most {MOST_OUTPUT}")
        return Program(
            _text(self.code),
            _text(self.stdin),
            {path: _text(data) for path, data in self.files.items()},
            [_text(argument) for argument in self.arguments],
            self.timeout_s,
            self.memory_mib,
            self.max_output_bytes,
        )


class PtyFields(msgspec.Struct):
    """A `SandboxPtySpec`."""

    command: str | None = None
    cwd: str | None = None
    env: dict[str, str] = {}
    rows: int = 24
    cols: int = 80
    user: str | int | None = None
    pty: bool = True

    @classmethod
    def of(cls, spec: SandboxPtySpec) -> PtyFields:
        return cls(**asdict(spec))

    def spec(self) -> SandboxPtySpec:
        return SandboxPtySpec(**msgspec.structs.asdict(self))


class Create(msgspec.Struct, tag="create"):
    spec: SpecFields


class RunPython(msgspec.Struct, tag="run_python"):
    program: ProgramFields


class _InSandbox(msgspec.Struct):
    sandbox: str


class Connect(_InSandbox, tag="connect"):
    pass


class Exec(_InSandbox, tag="exec"):
    command: str
    cwd: str | None = None
    env: dict[str, str] | None = None
    timeout_s: float | None = None
    user: str | int | None = None


class Status(_InSandbox, tag="status"):
    pass


class Endpoint(_InSandbox, tag="endpoint"):
    port: int


class Reach(_InSandbox, tag="reach"):
    url: str


class Close(_InSandbox, tag="close"):
    pass


class Upload(_InSandbox, tag="upload"):
    path: str
    mode: int


class PtyOpen(_InSandbox, tag="pty_open"):
    spec: PtyFields


class _InSession(_InSandbox):
    session: str


class PtyRead(_InSession, tag="pty_read"):
    stderr: bool = False


class PtyWrite(_InSession, tag="pty_write"):
    data: bytes


class PtyResize(_InSession, tag="pty_resize"):
    rows: int
    cols: int


class PtySignal(_InSession, tag="pty_signal"):
    number: int


class PtyWait(_InSession, tag="pty_wait"):
    pass


class PtyClose(_InSession, tag="pty_close"):
    pass


PtyUse: TypeAlias = PtyRead | PtyWrite | PtyResize | PtySignal | PtyWait
InSandbox: TypeAlias = Exec | Status | Endpoint | Reach | PtyOpen | PtyUse | PtyClose
Order: TypeAlias = Create | RunPython | Connect | Close | Upload | InSandbox


class Request(msgspec.Struct):
    """An order and its key."""

    key: str
    order: Order


class Key(msgspec.Struct):
    """The key of an order that was sent before."""

    key: str


class Leases(msgspec.Struct):
    """The sandboxes that a client still uses."""

    sandboxes: list[str]


class FileRequest(_InSandbox):
    """A file to copy out, or a folder as an archive."""

    path: str
    most_bytes: int
    folder: bool = False


class Started(msgspec.Struct):
    """A sandbox that is ready."""

    sandbox: str
    isolation: str
    lease_s: float
    """Seconds without a sign of life from its client after which the server ends it."""


class ProgramEnd(msgspec.Struct):
    """A `ProgramResult`. Its outputs are bytes, so that no text grows much on the way."""

    result: ProgramResult
    stdout: bytes
    stderr: bytes

    @classmethod
    def of(cls, result: ProgramResult) -> ProgramEnd:
        return cls(replace(result, stdout="", stderr=""), _bytes(result.stdout), _bytes(result.stderr))

    def program_result(self) -> ProgramResult:
        return replace(self.result, stdout=_text(self.stdout), stderr=_text(self.stderr))


class Word(msgspec.Struct):
    """A text: a status, a URL or the id of a session."""

    value: str


class Data(msgspec.Struct):
    """Output of a session."""

    data: bytes


class Code(msgspec.Struct):
    """The exit code of a session."""

    code: int


class Nothing(msgspec.Struct):
    """The answer to an order without a result."""


class Refusal(msgspec.Struct):
    """The error that an order raised."""

    error: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Refusal | None:
        """The refusal for an error of a sandbox; None for another one."""
        if isinstance(error, NotIsolated):
            return cls(NotIsolated.__name__, error.why)
        for kind in type(error).__mro__:
            if kind.__name__ in _ERRORS:
                return cls(kind.__name__, str(error))
        return None

    def exception(self) -> Exception:
        """The error, of the same class."""
        return _ERRORS.get(self.error, SandboxUnreachable)(self.message)


_ERRORS: Final[dict[str, type[Exception]]] = {
    "TimeoutError": TimeoutError,
    "OSError": SandboxFileError,
    **{
        name: kind
        for name, kind in vars(errors).items()
        if getattr(kind, "__module__", "") == errors.__name__
    },
}
"""The errors that pass between the two sides, by name: all of `sandbox.errors`, and two of Python."""


def to_header(request: Request) -> str:
    """A request as the value of a header."""
    return quote(msgspec.json.encode(request))


def from_header(value: str) -> Request:
    """The request in a header.

    Raises:
        ValueError: it is not valid.
    """
    return msgspec.json.decode(unquote(value), type=Request)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise InvalidSandbox(f"a text is not UTF-8: {error}") from None
