from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.config.errors import AlmostServerError, ServerRefNotFoundError
from nemo_gym.config.instances import InstanceTable, find_instances


def server(**fields: Any) -> dict[str, Any]:
    return {"resources_servers": {"impl": {"entrypoint": "app.py", "domain": "math", **fields}}}


def agent(**fields: Any) -> dict[str, Any]:
    return {"responses_api_agents": {"simple_agent": {"entrypoint": "app.py", **fields}}}


def reference(name: str, kind: str = "resources_servers") -> dict[str, str]:
    return {"type": kind, "name": name}


def broken(tree: dict[str, Any]) -> str:
    with pytest.raises(AlmostServerError) as raised:
        find_instances(tree)
    return str(raised.value)


def test_an_instance_knows_its_settings_address_data_sets_and_references() -> None:
    data = {"name": "d", "type": "train", "jsonl_fpath": "d.jsonl", "license": "MIT"}
    tree = {
        "env": server(description="d", value="v", level=2, host="h", port=1234),
        "play": agent(resources_server=reference("env"), datasets=[data], max_steps=3),
        "param": 1,
        "data": {"x": {"y": 1}},
    }
    found = find_instances(tree)
    assert list(found.instances) == ["env", "play"]
    env, play = found.instances.values()
    assert (env.kind, env.implementation, env.settings, env.url) == (
        "resources_servers",
        "impl",
        {"level": 2},
        "http://h:1234",
    )
    assert play.settings == {"resources_server": reference("env"), "max_steps": 3}
    assert [(name, one.name) for name, one in play.references.items()] == [("resources_server", "env")]
    assert [(one.name, one.num_repeats) for one in play.datasets] == [("d", 1)]
    assert found.notices == ()


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            server(domain="mth"),
            r"a.resources_servers.impl.domain: there is none named 'mth'. Did you mean 'math'?",
        ),
        (server(domain=None), "a.resources_servers.impl.domain: required"),
        (server(port=70000), "a.resources_servers.impl.port: expected 1 to 65535, got 70000"),
        (server(port=True), "port: expected 1 to 65535, got True"),
        (server(share="yes"), "a.resources_servers.impl.share: expected true or false, got 'yes'"),
        (server(host=5), "host: expected a name or an address, got 5"),
        (agent(entrypoint=3), "a.responses_api_agents.simple_agent.entrypoint: expected a file, got 3"),
        ({**server(), **agent()}, "a: has resources_servers and responses_api_agents, an instance has one"),
        (
            {"responses_api_agents": {"x": {"entrypoint": "app.py"}, "y": {}}},
            "a.responses_api_agents: needs exactly one implementation, found x, y",
        ),
        (agent(datasets={}), "datasets: expected a list, got dict"),
        (
            agent(datasets=[{"name": "d", "type": "train", "jsonl_fpath": "x"}]),
            "datasets.0: a train data set needs a license",
        ),
        (
            agent(datasets=[{"name": "d", "type": "trian", "jsonl_fpath": "x"}]),
            "datasets.0: Invalid enum value 'trian'",
        ),
        (
            agent(datasets=[{"name": "d", "type": "example", "jsonl_fpath": "x", "num_repeats": 0}]),
            "datasets.0: Expected `int` >= 1",
        ),
        (
            agent(datasets=[{"name": "d", "type": "benchmark", "jsonl_fpath": "x"}]),
            "datasets.0: a benchmark needs a prepare_script",
        ),
        (
            agent(
                datasets=[
                    {
                        "name": "d",
                        "type": "example",
                        "jsonl_fpath": "x",
                        "source": {"type": "huggingface", "repo_id": "a/b"},
                        "huggingface_identifier": {"repo_id": "a/b"},
                    }
                ]
            ),
            "datasets.0: give source, or the older",
        ),
    ],
)
def test_almost_a_server_is_refused_field_by_field(tree: dict[str, Any], message: str) -> None:
    assert message in broken({"a": tree})


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"a": {"resource_servers": server()["resources_servers"]}},
            "a.resource_servers: there is no such kind. Did you mean 'resources_servers'?",
        ),
        (
            {"m": {"responses_api_model": {"chat": {"entrypoint": "app.py"}}}},
            "m.responses_api_model: there is no such kind. Did you mean 'responses_api_models'?",
        ),
        ({"a": {"resources_servers": {"i": {"entrypoint": "x", "domian": "math"}}}}, "; 'domian' is nearly"),
    ],
)
def test_a_misspelt_kind_or_field_is_named_in_one_line(tree: dict[str, Any], message: str) -> None:
    text = broken(tree)
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("field", "kind", "message"),
    [
        ("modle_server", "responses_api_models", "a: modle_server: .* Did you mean 'model_server'"),
        (
            "model_server",
            "responses_api_model",
            "a: model_server.type: .* mean 'responses_api_models'",
        ),
    ],
)
def test_what_is_nearly_a_reference_is_refused(field: str, kind: str, message: str) -> None:
    models = {"responses_api_models": {"chat": {"entrypoint": "app.py"}}}
    tree = {"a": agent(**{field: {"type": kind, "name": "m"}}), "m": models}
    with pytest.raises(ServerRefNotFoundError, match=message):
        find_instances(tree)


def test_references_of_other_names_and_other_types_pass() -> None:
    models = {"responses_api_models": {"chat": {"entrypoint": "app.py"}}}
    judge = {"type": "responses_api_models", "name": "m"}
    tree = {
        "a": agent(model_server=judge, judge_model_server=judge, x={"type": "web", "name": "m"}),
        "m": models,
    }
    assert find_instances(tree).notices == ()


def test_everything_that_is_wrong_is_said_at_once() -> None:
    text = broken({"a": server(domain="mth", port=0), "b": agent(host=[])})
    assert text.count("\n  ") == 3


def test_almost_servers_can_be_let_through() -> None:
    found = find_instances({"a": server(domain="mth"), "b": server(), "error_on_almost_servers": False})
    assert list(found.instances) == ["b"]
    assert "there is none named 'mth'" in found.notices[0]


def test_without_an_entry_point_it_is_data() -> None:
    found = find_instances({"a": {"resources_servers": {"impl": {}}}})
    assert found == InstanceTable({}, found.notices)
    assert "a has no entrypoint, so it is not a server" in found.notices[0]


def test_a_key_beside_the_kind_is_told_of() -> None:
    found = find_instances({"a": {**server(), "resource_servers": {"impl": {"x": 1}}}})
    assert found.notices == ("a.resource_servers: nothing reads this. Did you mean 'resources_servers'?",)


def test_a_reference_to_nothing_names_instance_field_and_the_nearest() -> None:
    tree = {
        "weather": server(),
        "play": agent(
            resources_server=reference("wether"), model_server=reference("m", "responses_api_models")
        ),
        "other": agent(resources_server=reference("play")),
    }
    with pytest.raises(ServerRefNotFoundError) as raised:
        find_instances(tree)
    lines = str(raised.value).splitlines()
    assert lines[:2] == [
        "play: resources_server refers to 'wether', which is not defined. Did you mean 'weather'?",
        "play: model_server refers to 'm', which is not defined. There are no responses_api_models.",
    ]
    assert "'play', which is responses_api_agents, not resources_servers" in lines[2]


def test_a_reference_deeper_in_a_field_is_told_of() -> None:
    found = find_instances({"a": server(judges=[reference("b")])})
    assert found.notices == ("a: judges.0 refers to 'b', which is not defined. Known: a.",)


def test_any_license_passes_and_an_unknown_one_is_told_of() -> None:
    data = {"name": "d", "type": "train", "jsonl_fpath": "x", "license": "EUPL-1.2"}
    found = find_instances({"a": agent(datasets=[data])})
    assert found.instances["a"].datasets[0].license == "EUPL-1.2"
    assert "license 'EUPL-1.2' is taken as it is" in found.notices[0]


@pytest.mark.parametrize(
    ("fields", "share"), [({}, False), ({"share": False}, False), ({"share": True}, True)]
)
def test_a_program_shares_a_process_only_where_it_says_so(fields: dict[str, bool], share: bool) -> None:
    instances = find_instances({"a": server(**fields)}).instances
    assert instances["a"].share is share
    assert instances["a"].settings == {}


@pytest.mark.parametrize("key", ["shared", "sahre", "shares"])
def test_a_misspelt_share_is_noticed_and_stays_a_setting(key: str) -> None:
    found = find_instances({"a": server(**{key: True})})
    assert found.notices == (
        f"a.resources_servers.impl.{key}: this does not share a process. Did you mean 'share'?",
    )
    assert found.instances["a"].settings == {key: True}
    assert find_instances({"a": server(**{key: 3})}).notices == ()
