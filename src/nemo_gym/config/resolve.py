"""Makes one configuration of files, `env.yaml`, values in code and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from nemo_gym.config.addresses import interpolate_with_addresses
from nemo_gym.config.builtins import POLICY_SETTINGS
from nemo_gym.config.dummy_model import fold_placeholders
from nemo_gym.config.errors import NoServerInstancesError
from nemo_gym.config.implementations import implementation_folder
from nemo_gym.config.inheritance import apply_directives
from nemo_gym.config.instances import Instance
from nemo_gym.config.interpolation import require_values
from nemo_gym.config.overrides import Override, apply_override, exists, parse_override
from nemo_gym.config.server_kinds import ServerKind
from nemo_gym.config.settings import check_key, check_spelling, read_settings, unused_keys, unused_settings
from nemo_gym.config.short_form import expand_flat
from nemo_gym.config.sources import INCLUDES, find_file, include_list, read_sources, read_yaml, search_roots
from nemo_gym.config.tree import Tree, as_mapping, get, merge, to_tree
from nemo_gym.wire.masking import mask

ENV_FILE: Final = "env.yaml"


@dataclass(frozen=True, slots=True)
class Config:
    """A resolved configuration: all values and addresses are set."""

    tree: Tree
    """The whole configuration as plain data, as `GET /global_config_dict_yaml` shows it."""
    instances: dict[str, Instance]
    files: tuple[str, ...] = ()
    """The paths of all files, built-in ones included; later files replace values of earlier ones."""
    notices: tuple[str, ...] = ()
    """Notices for the user, a line each."""

    def of(self, kind: ServerKind) -> list[Instance]:
        """The instances of a kind."""
        return [instance for instance in self.instances.values() if instance.kind == kind]

    def without_secrets(self) -> Tree:
        """The tree without its secrets, to be shown."""
        return mask(self.tree)

    def require_instances(self) -> None:
        """Check that there is something to start.

        Raises:
            NoServerInstancesError: there is nothing.
        """
        if not self.instances:
            raise NoServerInstancesError(
                "nothing to start: no server instance in the configuration. "
                "Name an environment, or give a file"
            ).about("environment", "config")


def resolve(
    paths: Sequence[str | Path] = (),
    overrides: Sequence[str | Override] = (),
    *,
    initial: Mapping[str, Any] | None = None,
    search_dirs: Sequence[Path] = (),
    env_file: Path | None = None,
    use_env_file: bool = True,
    offline: bool = False,
) -> Config:
    """One configuration from all its sources; a later source replaces values of an earlier one.

    Args:
        paths: YAML files, absolute or relative to a search root; then `env.yaml`.
        overrides: `key=value`, `+key=value`, `++key=value` or `~key`; they come last.
        initial: values in code, or an OmegaConf mapping; they come after the files.
        search_dirs: folders that are searched before the other search roots.
        env_file: the `env.yaml` to read; None takes the first one in the search roots, unless `use_env_file`
            is false.
        offline: choose no ports, and allow a configuration without a policy model.

    Raises:
        ConfigError: something is wrong; the class says what kind of mistake it is.
        UsageError: an override can't be read.
    """
    roots = search_roots(search_dirs)
    changes = [parse_override(one) if isinstance(one, str) else one for one in overrides]
    values = to_tree(initial or {})
    dotenv = _read_env_file(env_file, roots) if use_env_file or env_file else {}
    files = [*map(str, paths), *_include_changes(changes)]
    files = (
        files
        or include_list(values.get(INCLUDES), "the values given in code")
        or include_list(dotenv.get(INCLUDES), ENV_FILE)
    )
    sources = read_sources(files, roots)
    tree = merge(merge(sources.tree, _without_includes(dotenv)), _without_includes(values))
    tree = _apply_changes(tree, [change for change in changes if change.path != (INCLUDES,)], roots)
    check_spelling(tree)
    tree = apply_directives(expand_flat(tree, roots))
    tree = fold_placeholders(merge(dict.fromkeys(POLICY_SETTINGS, ""), tree) if offline else tree)
    require_values(tree)
    unused = list(unused_keys(tree))
    tree, table = interpolate_with_addresses(tree, partial(_fill_in, files=sources.files), offline=offline)
    return Config(
        tree=tree,
        instances={name: _with_address(instance, tree) for name, instance in table.instances.items()},
        files=sources.files,
        notices=(
            *_duplicate_notices(sources.duplicates),
            *unused,
            *table.notices,
            *_unused_settings(table.instances, roots),
        ),
    )


def _read_env_file(env_file: Path | None, roots: Sequence[Path]) -> Tree:
    file = env_file or find_file(ENV_FILE, roots)
    return read_yaml(file) if file else {}


def _include_changes(changes: Sequence[Override]) -> list[str]:
    values = [change.value for change in changes if change.path == (INCLUDES,)]
    return [path for value in values for path in include_list(value, "command line")]


def _without_includes(tree: Tree) -> Tree:
    return {key: value for key, value in tree.items() if key != INCLUDES}


def _apply_changes(tree: Tree, changes: Sequence[Override], roots: Sequence[Path]) -> Tree:
    for change in changes:
        if change.change == "set" and not exists(change.path, [tree]):
            check_key(change, tree, apply_directives(expand_flat(tree, roots)))
        tree = apply_override(tree, change)
    return tree


def _fill_in(tree: Tree, files: Sequence[str]) -> None:
    """Set the settings that every server may read, where they have a default."""
    tree[INCLUDES] = list(files)
    tree.setdefault("use_absolute_ip", False)
    settings = read_settings(tree)
    tree["results_dir"] = str(Path(settings.results_dir).absolute())
    tree["cache_dir"] = str(Path(settings.cache_dir).absolute())
    for_agents = {key: tree[key] for key in ("skip_verification", "skip_verification_reward") if key in tree}
    for agent in _agents(tree) if for_agents else ():
        agent |= {key: value for key, value in for_agents.items() if key not in agent}


def _agents(tree: Tree) -> Iterator[Tree]:
    for value in tree.values():
        for agent in as_mapping(as_mapping(value).get("responses_api_agents")).values():
            if isinstance(agent, dict):
                yield cast("Tree", agent)


def _unused_settings(instances: Mapping[str, Instance], roots: Sequence[Path]) -> Iterator[str]:
    for instance in instances.values():
        if implementation_folder(instance, roots) is None:
            yield from unused_settings(instance)


def _with_address(instance: Instance, tree: Tree) -> Instance:
    fields = get(tree, instance.path)
    return replace(instance, host=fields["host"], port=fields["port"])


def _duplicate_notices(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        yield (
            f"{path} is named twice and was read once. If two instances need different settings, give each "
            "its own: my_server: {_copy: the_server, ...}"
        )
