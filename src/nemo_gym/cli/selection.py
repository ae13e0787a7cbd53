"""The words and flags that select a configuration, the same for every command that has them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec, TypeAlias, get_type_hints

import typer

from nemo_gym.cli.verbose import is_verbose
from nemo_gym.cli.words import read_settings

if TYPE_CHECKING:
    from nemo_gym.config.resolve import Config

_CONFIGURATION: Final = "Configuration"

Words: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME] [KEY=VALUE]...",
        help="An environment, and changes: key=value, +key=value to add, ~key to delete.",
    ),
]
ConfigFiles: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="A YAML file. Repeatable, later ones win.",
        rich_help_panel=_CONFIGURATION,
    ),
]
SearchDirs: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--search-dir", help="A folder to look in first. Repeatable.", rich_help_panel=_CONFIGURATION
    ),
]
ResourcesServers: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--resources-server",
        metavar="NAME[/FLAVOR]",
        help="A resources server's configuration.",
        rich_help_panel=_CONFIGURATION,
    ),
]
Environments: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--environment",
        metavar="NAME[/FLAVOR]",
        help="An environment's configuration.",
        rich_help_panel=_CONFIGURATION,
    ),
]
Benchmarks: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--benchmark",
        metavar="NAME[/FLAVOR]",
        help="A benchmark's configuration.",
        rich_help_panel=_CONFIGURATION,
    ),
]
ModelTypes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--model-type", metavar="NAME[/FLAVOR]", help="A model's configuration: chat, vllm_model, ..."
    ),
]
ModelName: TypeAlias = Annotated[
    str, typer.Option("--model", "-m", help="The policy model's name at its endpoint.")
]
ModelUrl: TypeAlias = Annotated[str, typer.Option("--model-url", help="Its base URL.")]
ModelKey: TypeAlias = Annotated[
    str, typer.Option("--model-api-key", envvar="NEMO_GYM_MODEL_API_KEY", show_envvar=True, help="Its key.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Selected:
    """What the words and flags of a command select."""

    words: Words = None
    config: ConfigFiles = None
    search_dir: SearchDirs = None
    resources_server: ResourcesServers = None
    environment: Environments = None
    benchmark: Benchmarks = None
    model_type: ModelTypes = None
    model: ModelName = ""
    model_url: ModelUrl = ""
    model_api_key: ModelKey = ""

    def resolve(self, *more: str, offline: bool) -> Config:
        """The configuration, with `more` changes over it. Raises like `configuration`."""
        chosen: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen["words"] = [*(self.words or []), *more]
        return configuration(**chosen, offline=offline)

    @property
    def names(self) -> list[str]:
        """The words that name environments."""
        from nemo_gym.config.overrides import is_override

        return [word for word in self.words or [] if not is_override(word)]

    @property
    def settings(self) -> dict[str, Any]:
        """The other words, as settings of the environment. Raises like `read_settings`."""
        from nemo_gym.config.overrides import is_override

        return read_settings([word for word in self.words or [] if is_override(word)])

    @property
    def is_configured(self) -> bool:
        """Whether a flag or a word says something about a configuration."""
        selectors = (self.config, self.resources_server, self.environment, self.benchmark)
        return any(selectors) or any(word.startswith(("+", "~")) for word in self.words or [])

    def roots(self) -> list[Path]:
        """Where names and relative paths are looked up."""
        from nemo_gym.config.sources import search_roots

        return search_roots(self.search_dir or [])


def with_selectors(command: Callable[Concatenate[Selected, P], None]) -> Callable[..., None]:
    """A command that has the words and flags of `Selected` instead of its first parameter."""
    hints = get_type_hints(Selected, include_extras=True)
    selectors = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(Selected)
    ]
    _, *own = signature(command, eval_str=True).parameters.values()
    own = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own]

    @functools.wraps(command)
    def with_flags(**given: Any) -> None:
        chosen = {selector.name: given.pop(selector.name) for selector in selectors}
        call: Callable[..., None] = command
        call(Selected(**chosen), **given)

    vars(with_flags)["__signature__"] = Signature([*selectors, *own])
    with_flags.__annotations__ = {}
    return with_flags


def configuration(
    words: list[str] | None,
    config: list[str] | None,
    search_dir: list[Path] | None,
    *,
    resources_server: list[str] | None,
    environment: list[str] | None,
    benchmark: list[str] | None,
    model_type: list[str] | None,
    model: str,
    model_url: str | list[str],
    model_api_key: str,
    offline: bool,
) -> Config:
    """The configuration that the words and flags of a command select.

    Raises:
        ConfigError: what is wrong with it.
        UsageError: a selector finds nothing, or a word can't be read.
    """
    from nemo_gym.config.resolve import resolve
    from nemo_gym.config.selection import select

    selectors = {
        "resources_server": resources_server,
        "environment": environment,
        "benchmark": benchmark,
        "model_type": model_type,
    }
    selection = select(
        [*(words or []), *(["++verbose=true"] if is_verbose() else [])],
        config=config or [],
        search_dirs=search_dir or [],
        selectors={setting: names for setting, names in selectors.items() if names},
        model=model,
        model_url=model_url,
        model_api_key=model_api_key,
    )
    return resolve(selection.paths, selection.overrides, search_dirs=search_dir or [], offline=offline)
