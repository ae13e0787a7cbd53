"""The plugins that Data Designer finds by the entry points of the group `data_designer.plugins`."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

_plugins: Any = import_module("data_designer.plugins.plugin")
_HERE: Final = __package__


def _plugin(kind: str, config: str, implementation: str) -> Any:
    return _plugins.Plugin(
        plugin_type=_plugins.PluginType(kind),
        config_qualified_name=f"{_HERE}.plugin_configs.{config}",
        impl_qualified_name=f"{_HERE}.{implementation}",
    )


verify = _plugin("column-generator", "GymVerifyColumnConfig", "plugin_columns.GymVerify")
rollout = _plugin("column-generator", "GymRolloutColumnConfig", "plugin_columns.GymRollout")
tasks = _plugin("seed-reader", "GymTasksSeedSource", "plugin_seeds.GymTasksReader")
rollouts = _plugin("seed-reader", "GymRolloutsSeedSource", "plugin_seeds.GymRolloutsReader")
