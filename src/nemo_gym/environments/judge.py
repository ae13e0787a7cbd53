"""Questions to a judge model, which is asked again when its answer can't be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

from nemo_gym.environments.resources import AskedModel
from nemo_gym.verifiers.verdicts import DATA_RULE, data_block, one_label
from nemo_gym.wire.errors import JudgeFailed
from nemo_gym.wire.items import system, user
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

T = TypeVar("T")

ATTEMPTS: Final = 3
"""How often a judge is asked one question, at most."""
MAX_DATA: Final = 20_000
"""The most characters of one text that a judge sees; a longer text loses its beginning."""


@dataclass(frozen=True, slots=True)
class Verdict(Generic[T]):
    """What a judge says, with the request and the answer that it comes from."""

    value: T
    request: Mapping[str, Any]
    response: Response


async def ask_judge(
    judge: AskedModel,
    instructions: str,
    data: Mapping[str, str],
    read: Callable[[str], T | None],
    *,
    form: str,
    params: Mapping[str, Any] | None = None,
) -> Verdict[T]:
    """Ask a judge about texts, and ask again while its answer can't be read.

    Args:
        instructions: what the judge does, without the form of its answer.
        data: the texts by their names; each stands in a block and is no instruction.
        read: makes a verdict of the judge's text, or None.
        form: the sentence about the form of the answer.
        params: other request parameters, such as `temperature`.

    Raises:
        JudgeFailed: the judge gave no answer, or none that can be read.
    """
    blocks = "\n\n".join(data_block(name, text[-MAX_DATA:]) for name, text in data.items())
    for attempt in range(ATTEMPTS):
        again = f"\n\nYour answer could not be read. Write nothing but the verdict. {form}" if attempt else ""
        messages = [system(f"{instructions}\n{DATA_RULE}\n{form}"), user(blocks + again)]
        request = {**(params or {}), "input": messages}
        response = await judge.responses(cast("RequestParams", request))
        value = read(response.final_text)
        if value is not None:
            return Verdict(value, request, response)
    raise JudgeFailed(f"the judge gave no clear verdict in {ATTEMPTS} answers")


async def ask_label(
    judge: AskedModel,
    instructions: str,
    data: Mapping[str, str],
    labels: Sequence[str],
    *,
    params: Mapping[str, Any] | None = None,
) -> Verdict[str]:
    """Ask a judge for one of several labels. Raises like `ask_judge`."""
    form = f"Think briefly if you must, and write exactly one of these labels, once: {', '.join(labels)}"
    return await ask_judge(
        judge, instructions, data, lambda text: one_label(text, labels), form=form, params=params
    )
