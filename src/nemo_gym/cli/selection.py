"""The words and flags that select a configuration, the same for every command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec, TypeAlias, get_type_hints

import typer

from nemo_gym.cli.command_line import is_verbose
from nemo_gym.cli.words import read_settings

if TYPE_CHECKING:
    from nemo_gym.config.resolve import Config

_selector: Final = partial(typer.Option, rich_help_panel="Configuration")

Words: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME] [KEY=VALUE]...",
        help="An environment, and changes: key=value, +key=value to add, ~key to delete.",
    ),
]
ConfigFiles: TypeAlias = Annotated[
    list[str] | None, _selector("--config", metavar="PATH", help="A YAML file. Repeatable; later files win.")
]
SearchDirs: TypeAlias = Annotated[
    list[Path] | None, _selector("--search-dir", help="A folder to search first. Repeatable.")
]
ResourcesServers: TypeAlias = Annotated[
    list[str] | None,
    _selector("--resources-server", metavar="NAME[/FLAVOR]", help="A resources server's configuration."),
]
Environments: TypeAlias = Annotated[
    list[str] | None,
    _selector("--environment", metavar="NAME[/FLAVOR]", help="An environment's configuration."),
]
Benchmarks: TypeAlias = Annotated[
    list[str] | None,
    _selector(
        "--benchmark",
        metavar="NAME[/FLAVOR]",
        help="A benchmark's configuration. `gym run` takes several with commas between, and compares them.",
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
ModelUrls: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--model-url", metavar="URL", help="The model's base URL. Repeat it for copies of one model."
    ),
]
ModelKey: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model-api-key", envvar="NEMO_GYM_MODEL_API_KEY", show_envvar=True, help="The model's key."
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class ConfigSelection:
    """The words and flags of a command that select its configuration."""

    words: Words = None
    config: ConfigFiles = None
    search_dir: SearchDirs = None
    resources_server: ResourcesServers = None
    environment: Environments = None
    benchmark: Benchmarks = None
    model_type: ModelTypes = None
    model: ModelName = ""
    model_url: ModelUrls = None
    model_api_key: ModelKey = ""

    def resolve(self, *more: str, offline: bool) -> Config:
        """The configuration, with `more` changes on top.

        Raises:
            ConfigError: what is wrong with it.
            UsageError: a selector matches nothing, or a word can't be read.
        """
        from nemo_gym.config.resolve import resolve
        from nemo_gym.config.selection import select

        selectors = {
            "resources_server": self.resources_server,
            "environment": self.environment,
            "benchmark": [name for names in self.benchmark or () for name in names.split(",")],
            "model_type": self.model_type,
        }
        verbose = ["++verbose=true"] if is_verbose() else []
        urls = self.model_url or []
        search_dirs = self.search_dir or []
        selection = select(
            [*(self.words or []), *more, *verbose],
            config=self.config or [],
            search_dirs=search_dirs,
            selectors={setting: names for setting, names in selectors.items() if names},
            model=self.model,
            model_url=urls[0] if len(urls) == 1 else urls,
            model_api_key=self.model_api_key,
        )
        return resolve(selection.paths, selection.overrides, search_dirs=search_dirs, offline=offline)

    @property
    def names(self) -> list[str]:
        """The words that name environments."""
        return self._split_words()[0]

    @property
    def changes(self) -> list[str]:
        """The words that change a setting."""
        return self._split_words()[1]

    def _split_words(self) -> tuple[list[str], list[str]]:
        from nemo_gym.config.overrides import is_override

        names = [word for word in self.words or [] if not is_override(word)]
        return names, [word for word in self.words or [] if is_override(word)]

    @property
    def settings(self) -> dict[str, Any]:
        """The changes as settings of the environment.

        Raises:
            UsageError: one of them can't be read.
        """
        return read_settings(self.changes)

    @property
    def is_configured(self) -> bool:
        """Whether a flag or a word names or changes a configuration."""
        selectors = (self.config, self.resources_server, self.environment, self.benchmark)
        return any(selectors) or any(word.startswith(("+", "~")) for word in self.words or [])

    def roots(self) -> list[Path]:
        """The folders in which names and relative paths are looked up."""
        from nemo_gym.config.sources import search_roots

        return search_roots(self.search_dir or [])


def with_selectors(command: Callable[Concatenate[ConfigSelection, P], None]) -> Callable[..., None]:
    """A command that takes the words and flags of `ConfigSelection` in place of its first parameter."""
    hints = get_type_hints(ConfigSelection, include_extras=True)
    selectors = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(ConfigSelection)
    ]
    _, *own = signature(command, eval_str=True).parameters.values()
    own = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own]

    @wraps(command)
    def with_flags(**values: Any) -> None:
        selection = ConfigSelection(**{selector.name: values.pop(selector.name) for selector in selectors})
        call: Callable[..., None] = command
        call(selection, **values)

    vars(with_flags)["__signature__"] = Signature([*selectors, *own])
    with_flags.__annotations__ = {}
    return with_flags
