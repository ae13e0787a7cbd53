"""Providers by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from nemo_gym.sandbox import create_provider, get_provider_class, list_providers, register_provider
from nemo_gym.sandbox.providers import registry
from nemo_gym.sandbox.providers.apptainer import ApptainerProvider
from nemo_gym.sandbox.providers.docker import DockerProvider
from nemo_gym.sandbox.providers.local import LocalProvider
from nemo_gym.sandbox.providers.opensandbox import OpenSandboxProvider


class Mine:
    name = "mine"

    def __init__(self, *, size: int = 1) -> None:
        self.size = size


@pytest.fixture(autouse=True)
def _no_leftovers(monkeypatch):
    monkeypatch.setattr(registry, "_by_name", {})


def plug_in(monkeypatch, *names: str, value: str = f"{__name__}:Mine") -> None:
    found = [EntryPoint(name, value, registry.GROUP) for name in names]
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group == registry.GROUP else [])


def test_the_shipped_ones_are_there():
    assert list_providers() == ["apptainer", "docker", "local", "monty", "opensandbox", "remote"]
    assert get_provider_class("docker") is DockerProvider
    assert get_provider_class("apptainer") is ApptainerProvider
    assert isinstance(create_provider({"local": None}), LocalProvider)
    assert get_provider_class("opensandbox") is OpenSandboxProvider


def test_a_registered_one_takes_its_settings_and_goes_before_all_others(monkeypatch):
    plug_in(monkeypatch, "docker", "mine")
    register_provider("mine", Mine)
    register_provider("docker", Mine, override=True)

    assert create_provider({"mine": {"size": 3}}).size == 3
    assert get_provider_class("docker") is Mine


def test_a_shipped_one_goes_before_a_plugin_and_a_plugin_is_found(monkeypatch):
    plug_in(monkeypatch, "docker", "theirs", value=f"{__name__}:test_the_shipped_ones_are_there")

    assert get_provider_class("docker") is DockerProvider
    assert get_provider_class("theirs").__name__ == "test_the_shipped_ones_are_there"
    assert "theirs" in list_providers()


def test_a_plugin_that_cannot_be_imported_says_so(monkeypatch):
    plug_in(monkeypatch, "theirs", value="no_such_module:Provider")
    with pytest.raises(ValueError, match=r"'theirs' \(no_such_module:Provider\) can't be loaded"):
        get_provider_class("theirs")


def test_a_name_is_given_once():
    register_provider("mine", Mine)
    for name in ("mine", "docker"):
        with pytest.raises(ValueError, match="already registered"):
            register_provider(name, Mine)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "exactly one provider"),
        ({"docker": {}, "local": {}}, "exactly one provider"),
        (
            {"podman": {}},
            "Unknown sandbox provider 'podman'. Available providers: apptainer, docker, local, monty, "
            "opensandbox, remote",
        ),
        ({"local": []}, "as a mapping"),
        ({"local": {"made": {}}}, "unexpected keyword argument 'made'"),
        ({"local": {"create": {"isolate": 1}}}, "no setting 'isolate'. Did you mean 'isolation'"),
        (
            {"local": {"create": {"isolation": "requird"}}},
            "expected one of required, auto, namespaces, landlock, off, not 'requird'",
        ),
        ({"docker": {"exec": 3}}, "expected a mapping"),
    ],
)
def test_a_config_that_makes_no_provider_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        create_provider(config)
