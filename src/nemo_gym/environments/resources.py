"""The resources of an environment: the models that it asks, and sandboxes.

The caller of the environment supplies them (a run, a server, `gym.collect`, the conformance check). An
environment never creates them itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from nemo_gym.sandbox.pool import SandboxPool
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.params import RequestParams, ask
from nemo_gym.wire.response import Response


class AskedModel(ABC):
    """A model that an environment asks, such as a judge."""

    @abstractmethod
    async def responses(self, params: RequestParams) -> Response:
        """The model's answer.

        Raises:
            JudgeFailed: the model did not answer.
        """

    async def text(self, prompt: str, *, instructions: str | None = None, **params: Any) -> str:
        """The text of the model's answer to a prompt, without its reasoning and without blanks around it.

        Args:
            instructions: a system message before the prompt.
            params: other request parameters, such as `temperature` and `max_output_tokens`.

        Raises:
            JudgeFailed: the model did not answer.
        """
        request = cast("RequestParams", {**ask(prompt, instructions=instructions), **params})
        return strip_reasoning((await self.responses(request)).final_text).strip()

    async def check(self) -> None:  # noqa: B027 - nothing to check is a fine default
        """Fail before a run starts when the model can't be reached.

        Raises:
            GymError: the reason.
        """

    async def aclose(self) -> None:  # noqa: B027 - nothing to release is a fine default
        """Release the model, if it belongs to this object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The models and the sandboxes of one environment."""

    models: Mapping[str, AskedModel] = field(default_factory=dict[str, AskedModel])
    """By the names that the environment declares in `asks`."""
    sandboxes: SandboxPool = field(default_factory=SandboxPool)
    """The pool of `session.sandbox`."""

    async def check(self) -> None:
        """Check every model. Raises like `AskedModel.check`."""
        for model in self.models.values():
            await model.check()

    async def aclose(self) -> None:
        """Close every model and every sandbox."""
        try:
            for model in self.models.values():
                await model.aclose()
        finally:
            await self.sandboxes.aclose()


class DeclaredModels(Mapping[str, AskedModel]):
    """The models that an environment asks. The lookup of a missing model is a `UsageError`.

    Args:
        owner: the environment's name.
        asks: the names that it declares.
        models: the models that the caller supplied.
    """

    def __init__(self, owner: str, asks: Collection[str], models: Mapping[str, AskedModel]) -> None:
        self._owner = owner
        self._asks = asks
        self._models = models

    def __getitem__(self, name: str) -> AskedModel:
        if name not in self._asks:
            raise UsageError(undeclared(self._owner, name, self._asks))
        if name not in self._models:
            raise ModelMissing(self._owner, name)
        return self._models[name]

    def __contains__(self, name: object) -> bool:
        return name in self._models

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)


def undeclared(owner: str, name: str, asks: Collection[str]) -> str:
    """The message about the name of a model that an environment does not declare."""
    hint = did_you_mean(name, asks) or " It declares none: set `asks` in its class."
    return f"environment {owner} asks no model {name!r}.{hint}"


def check_supply(
    owner: str, declared: Collection[str], needed: Iterable[str], supplied: Collection[str]
) -> None:
    """Check that an environment has the models that it needs, and no others than it declares.

    Raises:
        ModelMissing: a model is missing.
        UsageError: a model is not declared.
    """
    for name in supplied:
        if name not in declared:
            raise UsageError(undeclared(owner, name, declared))
    for name in needed:
        if name not in supplied:
            raise ModelMissing(owner, name)


class ModelMissing(UsageError):
    """Nobody supplied a model that an environment asks.

    Args:
        owner: the environment's name.
        name: what the environment calls the model.
    """

    def __init__(self, owner: str, name: str) -> None:
        super().__init__(f"environment {owner} asks the model {name!r}, which nobody supplied")
        self.name = name
