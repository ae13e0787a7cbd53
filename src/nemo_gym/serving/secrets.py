"""`Secret`: a value that is never printed."""

from __future__ import annotations

import hmac
import secrets
from typing import NoReturn


class Secret:
    """Text that doesn't print, format, serialise or pickle; only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def random(cls) -> Secret:
        """A new one with 256 bits of randomness, safe in headers and URLs."""
        return cls(secrets.token_urlsafe(32))

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Whether `candidate` is the value. The time does not depend on how much of it is right."""
        return hmac.compare_digest(self._value.encode(), candidate.encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret can't be pickled: pass the text of reveal() through a pipe or a 0600 file")
