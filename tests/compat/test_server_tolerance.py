import pytest
from pydantic import ValidationError
from servers.sample import build, client_of, message, row
from servers.tolerance.app import Scale, ToleranceConfig, ToleranceServer


def score(text, expected=10.0, **settings):
    client = client_of(build(ToleranceServer, ToleranceConfig, **settings))
    return client.post("/verify", json=row(message(text), expected=expected, source="book")).json()


def test_settings_have_types_defaults_and_validators():
    config = build(ToleranceServer, ToleranceConfig, scale="relative", units={"km": 1000}).config
    assert (config.scale, config.tolerance, config.units) == (Scale.RELATIVE, 0.1, {"km": 1000.0})
    with pytest.raises(ValidationError, match="units must be positive"):
        build(ToleranceServer, ToleranceConfig, units={"km": -1})
    with pytest.raises(ValidationError):
        build(ToleranceServer, ToleranceConfig, on_failure="shrug")


def test_references_are_typed():
    config = build(
        ToleranceServer, ToleranceConfig, judge={"type": "responses_api_models", "name": "policy_model"}
    ).config
    assert (config.judge.name, config.helper) == ("policy_model", None)
    with pytest.raises(ValidationError):
        build(ToleranceServer, ToleranceConfig, judge={"type": "resources_servers", "name": "x"})


def test_settings_decide_the_reward():
    assert score("10.05")["reward"] == 1.0
    assert score("11")["reward"] == 0.0
    assert score("11", scale="relative", tolerance=0.1)["reward"] == 1.0
    assert score("0.01 km", units={"km": 1000})["measured"] == 10.0
    assert score("ten", on_failure="negative")["reward"] == -1.0


def test_a_model_that_allows_extra_columns_echoes_them():
    assert score("10")["source"] == "book"
