"""What an environment may use beside its own code: models that it asks, and sandboxes.

Whoever runs the environment supplies them (a run, a server, `gym.collect`, the conformance check); an
environment never makes them itself.
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
        """The text that the model answers to a prompt, without its reasoning and the blanks around it.

        Args:
            instructions: a system message that comes before the prompt.
            params: other request parameters, such as `temperature` and `max_output_tokens`.

        Raises:
            JudgeFailed: the model did not answer.
        """
        request = cast("RequestParams", {**ask(prompt, instructions=instructions), **params})
        return strip_reasoning((await self.responses(request)).final_text).strip()

    async def check(self) -> None:  # noqa: B027 - nothing to check is a fine default
        """Fail early, before a run starts, when the model can't be reached.

        Raises:
            GymError: saying what is wrong.
        """

    async def aclose(self) -> None:  # noqa: B027 - nothing to release is a fine default
        """Release what belongs to the model, unless somebody else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one environment is supplied with."""

    models: Mapping[str, AskedModel] = field(default_factory=dict[str, AskedModel])
    """By the names that the environment declares in `asks`."""
    sandboxes: SandboxPool = field(default_factory=SandboxPool)
    """Where `session.sandbox` gets its sandboxes from."""

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
    """The models that an environment asks; a name that has none is one clear error.

    Args:
        owner: the environment's name.
        asks: the names that it declares.
        models: those that were supplied.
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
    """The message for a name of a model that an environment does not declare."""
    declared = did_you_mean(name, asks) or " It declares none: set `asks` in its class."
    return f"environment {owner} asks no model {name!r}.{declared}"


def check_supply(
    owner: str, declared: Collection[str], needed: Iterable[str], supplied: Collection[str]
) -> None:
    """Check that an environment has the models that it needs, and no others than it declares.

    Raises:
        ModelMissing: one is missing.
        UsageError: there is one that is not declared.
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
