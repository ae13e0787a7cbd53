"""Penalties that shape a reward: for answers that are too long, and for answers without a tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from msgspec import Meta

from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import UsageError, VerifierFault, did_you_mean
from nemo_gym.wire.response import Response

Penalty: TypeAlias = Annotated[float, Meta(gt=0.0, le=1e9)]
"""What a shape subtracts at most."""


class LongAnswer(msgspec.Struct, frozen=True, tag="long", tag_field="type", forbid_unknown_fields=True):
    """Subtracts nothing up to `from` output tokens, the whole penalty at `to`, and a linear part between."""

    start: Annotated[int, Meta(ge=0)] = msgspec.field(name="from")
    end: Annotated[int, Meta(ge=1)] = msgspec.field(name="to")
    penalty: Penalty

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"`to` must be above `from`, {self.end} is not above {self.start}")

    def judge(self, response: Response) -> tuple[float, str]:
        """What it subtracts for a response, and why.

        Raises:
            VerifierFault: the response does not say how many tokens it has.
        """
        tokens: Any = (response.usage or {}).get("output_tokens")
        if not isinstance(tokens, int):
            raise VerifierFault(
                "the shape 'long' needs the number of output tokens, which the response lacks"
            )
        part = min(1.0, max(0.0, (tokens - self.start) / (self.end - self.start)))
        return part * self.penalty, f"{tokens} output tokens"


class MissingTag(msgspec.Struct, frozen=True, tag="format", tag_field="type", forbid_unknown_fields=True):
    """Subtracts the penalty unless the final text has `<tag>...</tag>` with some text inside."""

    tag: Annotated[str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_-]{0,63}\Z")]
    penalty: Penalty

    def judge(self, response: Response) -> tuple[float, str]:
        """What it subtracts for a response, and why."""
        _, start, rest = strip_reasoning(response.final_text).partition(f"<{self.tag}>")
        inside, end, _ = rest.partition(f"</{self.tag}>")
        if start and end and inside.strip():
            return 0.0, f"<{self.tag}> is there"
        return self.penalty, f"<{self.tag}> is missing or empty"


Shape: TypeAlias = LongAnswer | MissingTag
SHAPES: Final[Mapping[str, type[Shape]]] = {"long": LongAnswer, "format": MissingTag}
"""The shapes by name."""


def read_shapes(values: Iterable[object]) -> tuple[Shape, ...]:
    """The shapes of texts such as `long:from=512,to=1024,penalty=0.5`, or of mappings with a `type`.

    Raises:
        UsageError: one is not valid.
    """
    return tuple(_read_shape(value) for value in values)


def _read_shape(value: object) -> Shape:
    match value:
        case LongAnswer() | MissingTag():
            return value
        case str():
            name, _, text = value.partition(":")
            pairs = [pair.partition("=") for pair in text.split(",") if pair]
            fields: dict[str, Any] = {key.strip(): setting.strip() for key, _, setting in pairs}
            if len(fields) < len(pairs):
                raise UsageError(f"shape {value!r:.200}: a setting is there twice")
        case Mapping():
            mapping = cast("Mapping[str, Any]", value)
            name, fields = str(mapping.get("type", "")), {k: v for k, v in mapping.items() if k != "type"}
        case _:
            raise UsageError(f"shape {value!r:.200}: expected {_EXAMPLE}, or a mapping with a `type`")
    kind = SHAPES.get(name)
    if kind is None:
        hint = did_you_mean(name, SHAPES)
        raise UsageError(f"shape {value!r:.200}: there is no shape {name!r:.80}.{hint} Expected {_EXAMPLE}")
    try:
        shape = msgspec.convert(fields, kind, strict=False)
        if not shape.penalty <= 1e9:  # not a number
            raise UsageError(f"shape {value!r:.200}: penalty is not a number")
        return shape
    except msgspec.ValidationError as error:
        raise UsageError(f"shape {value!r:.200}: {explain_misfit(error, kind)}".replace("$.", "")) from None


_EXAMPLE: Final = "for instance long:from=512,to=1024,penalty=0.5"
