"""Settings: which model calls of a rollout are captured, and where they are stored."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, cast

import msgspec

from nemo_gym.capture.stores import FileCapture
from nemo_gym.capture.token_files import TokenFiles
from nemo_gym.capture.tokens import TokenSink, TokenSource
from nemo_gym.support.modules import load_file
from nemo_gym.wire.errors import UsageError

Strategy: TypeAlias = Literal["prefix_merging", "per_request"]


class TokenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The block `token_id_capture` of a configuration."""

    enabled: bool = False
    all_agents: bool = False
    """Capture the tokens of all agents, not only of those with `token_id_capture: true`."""
    dir: str | None = None
    """Folder of the default store. Every process of the run must be able to use it."""
    sink: str | None = None
    """Another store, as `module:Class` or `path.py:Class`."""
    sink_kwargs: dict[str, Any] = {}
    rebuild_response: bool = True
    """Replace the output of the agent's response by the main branch."""
    strategy: Strategy = "prefix_merging"
    """`per_request` makes every call its own branch, for agents that rewrite the history each time."""
    max_mask_fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """The largest part of the rollouts that may be unfit for training; above it the run stops."""
    mask_fraction_min_samples: Annotated[int, msgspec.Meta(ge=1)] = 50
    """How many rollouts must have ended before `max_mask_fraction` counts."""

    def store(self) -> TokenSink:
        """The store of the tokens.

        Raises:
            UsageError: the class or the folder does not exist and can't be created.
        """
        if self.sink is None:
            if not self.dir:
                raise UsageError("token_id_capture: dir or sink is required")
            return TokenFiles(Path(self.dir))
        kind = _class(self.sink)
        try:
            return kind(**self.sink_kwargs)
        except TypeError as error:
            raise UsageError(f"token_id_capture.sink {self.sink}: {error}") from None

    def source(self) -> TokenSource:
        """The store of the tokens, to read from.

        Raises:
            UsageError: as for `store`; or the store can't be read from.
        """
        self.check_source()
        return cast("TokenSource", self.store())

    def check_source(self) -> None:
        """Check that responses can be rebuilt from the store, when that is wanted.

        Raises:
            UsageError: there is no such class, or it can't be read from.
        """
        if self.sink is None or not self.rebuild_response:
            return
        kind = _class(self.sink)
        if not all(callable(getattr(kind, name, None)) for name in ("freeze", "drop")):
            raise UsageError(
                f"token_id_capture.sink {self.sink} has no freeze and drop, so nothing can be rebuilt "
                "from it: set rebuild_response to false"
            )


class CaptureSettings(msgspec.Struct, frozen=True):
    """The capture settings of a collector: plain data, so that every worker process can use them."""

    calls: str = ""
    """Folder of captured calls (`observability_enabled`); empty for none."""
    tokens: TokenSettings | None = None
    agents: tuple[str, ...] | None = None
    """Agents whose tokens are captured; None means all."""

    def captures_tokens_of(self, agent: str) -> bool:
        """Whether an agent's rollouts are rebuilt from captured tokens."""
        return self.tokens is not None and (self.agents is None or agent in self.agents)


def capture_settings(
    tree: Mapping[str, Any], agents: Mapping[str, Mapping[str, Any]]
) -> CaptureSettings | None:
    """The capture settings in a configuration tree; None when it has none.

    Args:
        tree: after `settle_folders`.
        agents: the settings of every agent by its name.

    Raises:
        UsageError: the block `token_id_capture` is not valid, or its store can't be used.
    """
    calls = str(tree["model_call_capture_dir"]) if tree.get("observability_enabled") else ""
    tokens = token_settings(tree)
    if tokens is not None:
        tokens.check_source()
    elif not calls:
        return None
    chosen = tuple(name for name, settings in agents.items() if settings.get("token_id_capture") is True)
    return CaptureSettings(calls, tokens, None if tokens and tokens.all_agents else chosen)


def token_settings(tree: Mapping[str, Any]) -> TokenSettings | None:
    """The block `token_id_capture` where it is enabled.

    Raises:
        UsageError: the block is not valid.
    """
    block = tree.get("token_id_capture")
    try:
        settings = msgspec.convert({} if block is None else block, TokenSettings)
    except msgspec.ValidationError as error:
        raise UsageError(f"token_id_capture: {error}") from None
    return settings if settings.enabled else None


def settle_folders(tree: dict[str, Any], folder: Path) -> None:
    """Make the folders of captures absolute, so that every process of a run uses the same ones.

    Args:
        tree: the configuration tree; it is changed.
        folder: for captures without a folder in the tree.

    Raises:
        UsageError: the block `token_id_capture` is not valid.
    """
    if tree.get("observability_enabled"):
        calls = Path(tree.get("model_call_capture_dir") or folder / "model_calls")
        tree["model_call_capture_dir"] = str(calls.absolute())
    tokens = token_settings(tree)
    if tokens is None:
        return
    if tokens.sink is None:
        tree["token_id_capture"]["dir"] = str(Path(tokens.dir or folder / "token_ids").absolute())
    elif ".py:" in tokens.sink:
        tree["token_id_capture"]["sink"] = str(Path(tokens.sink).absolute())


def call_store(tree: Mapping[str, Any]) -> FileCapture | None:
    """The store of model calls in a configuration tree; None when calls are not stored.

    Raises:
        UsageError: the folder can't be created.
    """
    return FileCapture(Path(tree["model_call_capture_dir"])) if tree.get("observability_enabled") else None


def _class(reference: str) -> Callable[..., Any]:
    place, _, name = reference.rpartition(":")
    if place.endswith(".py") and not Path(place).is_file():
        raise UsageError(f"token_id_capture.sink {reference}: there is no file {place}")
    try:
        module = load_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        kind = getattr(module, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"token_id_capture.sink {reference}: expected module:Class ({error})") from None
    if not inspect.isclass(kind):
        raise UsageError(f"token_id_capture.sink {reference}: {name} is no class")
    return kind
