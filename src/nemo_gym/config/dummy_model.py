"""`dummy_model`: the placeholder in an environment's file that any model may replace."""

from __future__ import annotations

from typing import Any, Final

from nemo_gym.config.builtins import POLICY, policy_settings
from nemo_gym.config.server_kinds import ENTRYPOINT, PLACEHOLDER
from nemo_gym.config.tree import Tree, as_mapping, merge

_KIND: Final = "responses_api_models"
_DEFAULT: Final = "chat"


def fold_placeholders(tree: Tree) -> Tree:
    """Replace placeholders. The settings of a placeholder beside a real model become defaults of the real
    one. A placeholder alone as the policy model becomes a Chat Completions model with the `policy_*` values;
    an empty `policy_base_url` means that there is no policy model."""
    return {name: _without_placeholder(name, value, tree) for name, value in tree.items()}


def _without_placeholder(name: str, value: Any, tree: Tree) -> Any:
    models = as_mapping(as_mapping(value).get(_KIND))
    if PLACEHOLDER not in models:
        return value
    others = {key: settings for key, settings in models.items() if key != PLACEHOLDER}
    if len(others) == 1:
        [(key, settings)] = others.items()
        others = {key: merge(as_mapping(models[PLACEHOLDER]), as_mapping(settings))}
    elif not others and name == POLICY and tree.get("policy_base_url") != "":
        others = {_DEFAULT: {"entrypoint": ENTRYPOINT, **policy_settings(_DEFAULT)}}
    elif not others:
        return value
    return {**as_mapping(value), _KIND: others}
