"""Replaces `${other.key}`, `${oc.env:VAR,default}` and `${oc.select:key,default}` by their values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from inspect import signature
from typing import Any, Final, cast

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from nemo_gym.config.errors import ConfigInterpolationError, ConfigMissingValuesError, nearest
from nemo_gym.config.expansion import check_expansion
from nemo_gym.config.tree import MISSING, Tree, leaves
from nemo_gym.wire.masking import remember_secrets

_KEY: Final = re.compile(r"\$\{\s*([\w-]+)(?:\.[\w.-]+)?\s*\}")

_SETTINGS: Final = {
    "policy_base_url": "model_url",
    "policy_api_key": "model_api_key",
    "policy_model_name": "model",
}
"""The settings of callers that supply the values of the policy model."""


def require_values(tree: Tree) -> None:
    """Check that no required value (`???`) is missing.

    Raises:
        ConfigMissingValuesError: with every `???` and the way to set it.
    """
    missing = [".".join(path) for path, value in leaves(tree) if value == MISSING]
    if missing:
        count = "1 value" if len(missing) == 1 else f"{len(missing)} values"
        hints = "".join(f"\n  {path}   (++{path}=<value>)" for path in missing)
        raise ConfigMissingValuesError(
            f"{count} must be given, in a file, in env.yaml or on the command line:{hints}"
        )


def interpolate(tree: Tree) -> Tree:
    """A plain tree without interpolations. Values of environment variables are remembered as secrets.

    Raises:
        ConfigInterpolationError: with every interpolation that refers to nothing or to itself; or they grow
            larger than any configuration.
    """
    _watch_environment()
    check_expansion(tree)
    whole = OmegaConf.create(tree)
    unresolvable = list(_unresolvable(whole, ""))
    if unresolvable:
        problems = [f"{path}: {text}: {problem}{_hint(text, tree)}" for path, text, problem in unresolvable]
        keys = [match[1] for _, text, _ in unresolvable if (match := _KEY.fullmatch(text))]
        settings = dict.fromkeys(_SETTINGS[key] for key in keys if key in _SETTINGS and key not in tree)
        raise ConfigInterpolationError("can't be interpolated:\n  " + "\n  ".join(problems)).about(*settings)
    return cast("Tree", OmegaConf.to_container(whole, resolve=True))


@cache
def _watch_environment() -> None:
    """Let OmegaConf's own `oc.env` remember the values that it reads."""

    def read(name: Any, *default: Any) -> Any:
        if name in os.environ and name not in _OPEN and not _is_place(os.environ[name]):
            remember_secrets([os.environ[name]])
        return oc.env(name, *default)

    register = OmegaConf.register_resolver
    if "replace" not in signature(register).parameters:  # before OmegaConf 2.4 another function had this name
        register = OmegaConf.register_new_resolver
    register("oc.env", read, replace=True)


def _is_place(text: str) -> bool:
    """Whether a text is the path of an existing file or folder, which is not a secret itself."""
    return text.startswith("/") and "\0" not in text and os.path.exists(text)


_OPEN: Final = frozenset(
    {"HOME", "HOSTNAME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TEMP", "TERM", "TMP", "TMPDIR", "USER"}
)
"""Variables that every system sets; they hold places and users and no secrets."""


def _unresolvable(node: DictConfig | ListConfig, path: str) -> Iterator[tuple[str, str, str]]:
    """(path, text, problem) of every interpolation that can't be resolved."""
    raw = cast("Any", OmegaConf.to_container(node, resolve=False))
    keys = range(len(raw)) if isinstance(node, ListConfig) else list(raw)
    for key in keys:
        here = f"{path}.{key}" if path else str(key)
        try:
            value: Any = node[key]
            if OmegaConf.is_interpolation(node, key):
                if isinstance(value, (DictConfig, ListConfig)):
                    OmegaConf.to_container(value, resolve=True)
                continue
        except (OmegaConfBaseException, RecursionError) as error:
            yield here, str(raw[key]), str(error).partition("\n")[0]
            continue
        if isinstance(value, (DictConfig, ListConfig)):
            yield from _unresolvable(value, here)


def _hint(text: str, tree: Tree) -> str:
    match = _KEY.fullmatch(text)
    if not match or match[1] in tree:
        return ""
    near = "" if match[1] in _SETTINGS else nearest(match[1], map(str, tree))
    return f".{near} Give it with ++{match[1]}=<value> or in env.yaml"
