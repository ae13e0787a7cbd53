"""Reads from the head server which agents run, and their URLs."""

from __future__ import annotations

from typing import Final, cast
from urllib.parse import urlsplit

import msgspec

from nemo_gym.transport.exchange import Reply
from nemo_gym.transport.service import Service
from nemo_gym.wire.errors import GymError

_AGENTS: Final = "responses_api_agents"


async def find_agents(head_url: str, *, token: str = "") -> dict[str, str]:
    """The URL of every agent server by its name.

    Raises:
        GymError: there is no head server at the URL, or it names no agents.
        UsageError: it is not a URL.
    """
    head = Service(head_url, "head server", token=token)
    host = urlsplit(head.url).hostname or ""
    try:
        agents = _of_instances(await _get(head, "/server_instances"), host)
        if not agents:
            agents = _of_config(_config(await _get(head, "/global_config_dict_yaml"), head.url), host)
        if not agents:
            raise GymError(f"{head.url} knows of no agent server")
        return agents
    finally:
        await head.aclose()


async def _get(head: Service, path: str) -> Reply:
    try:
        return await head.get(path)
    except GymError as error:
        problem = f"{error} (are the servers running, and is this where their head server is?)"
        raise GymError(problem).about("head_url") from None


def _of_instances(reply: Reply, host: str) -> dict[str, str]:
    """Agents in the list of running servers; empty without a list or without agents."""
    try:
        instances = msgspec.json.decode(reply.content, type=list[_Instance]) if reply.status == 200 else []
    except (ValueError, RecursionError):
        return {}
    agents = (one for one in instances if one.server_type == _AGENTS and one.process_name and one.port)
    return {one.process_name: _url(one.host, one.port, host) for one in agents}


def _of_config(config: object, host: str) -> dict[str, str]:
    """Agents in the merged configuration: `<name>.responses_api_agents.<implementation>.{host,port}`."""
    agents: dict[str, str] = {}
    for name, value in cast("dict[object, object]", config).items() if isinstance(config, dict) else ():
        try:
            addresses = msgspec.convert(value, _AgentInstance).responses_api_agents.values()
        except msgspec.ValidationError:
            continue
        agents |= {str(name): _url(address.host, address.port, host) for address in addresses}
    return agents


def _config(reply: Reply, head_url: str) -> object:
    """The merged configuration: YAML, or YAML in a JSON string."""
    import yaml  # needed only for a head server whose list of servers names no agents

    where = f"{head_url}/global_config_dict_yaml"
    if reply.status != 200:
        raise GymError(f"{where} answered HTTP {reply.status}: it is not a head server")
    try:
        text = msgspec.json.decode(reply.content, type=str)
    except ValueError:
        text = reply.text
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise GymError(f"{where}: not YAML: {' '.join(str(error).split())[:200]}") from None


class _Instance(msgspec.Struct):
    process_name: str = ""
    """The name of the instance; the field `name` is that of its implementation."""
    server_type: str = ""
    host: str | None = None
    port: int = 0


class _Address(msgspec.Struct):
    port: int
    host: str | None = None


class _AgentInstance(msgspec.Struct):
    responses_api_agents: dict[str, _Address]


def _url(host: str | None, port: int, head_host: str) -> str:
    """The URL of a server. A server that listens on every address is on the host of its head server."""
    name = host if host and host not in _EVERYWHERE else head_host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - not bound to, but replaced
