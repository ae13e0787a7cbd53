"""What a sandbox may be asked to be."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nemo_gym.sandbox import (
    SandboxPtySpec,
    SandboxResources,
    SandboxSpec,
    resolve_provider_config,
    resolve_provider_metadata,
    rewrite_image,
)
from nemo_gym.sandbox.config import attribution_metadata
from nemo_gym.sandbox.utils import cpu_cap_env

BLOCKS = {
    "sandbox": {"default_metadata": {"api": "docker-cli"}, "docker": {"create": {"network": "none"}}},
    "two": {"docker": {}, "apptainer": {}},
}


def test_resources_come_from_a_mapping():
    assert SandboxSpec(resources={"cpu": "2", "gpu": None}).resources == SandboxResources(cpu=2.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"resources": {"cpus": 1}},
            "Unknown sandbox resource keys: cpus. Expected keys: cpu, disk_gib, gpu",
        ),
        ({"resources": {"cpu": "many"}}, "could not convert"),
        ({"resources": {"memory_mib": -1}}, "expected 0 or more"),
        ({"ports": [0]}, "from 1 to 65535"),
        ({"ports": [65536]}, "from 1 to 65535"),
        ({"ports": [True]}, "from 1 to 65535"),
        ({"ports": [80, 80]}, "each port once"),
        ({"ttl_s": 0}, "more than 0 seconds"),
        ({"workdir": "here"}, "absolute path"),
        ({"env": {"A": 1}}, "expected text"),
        ({"env": {"A=B": "1"}}, "can't name a variable"),
        ({"files": {"a": b"x"}}, "expected text"),
    ],
)
def test_what_cannot_be_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        SandboxSpec(**fields)


def test_a_terminal_has_a_size():
    with pytest.raises(ValueError, match="no size of a terminal"):
        SandboxPtySpec(rows=0)


@pytest.mark.parametrize(
    ("image", "rewritten"),
    [
        ("docker.io/a:1", "mirror/a:1"),
        ("ghcr.io/a", "ghcr.io/a"),
        ("x/docker.io/a", "x/docker.io/a"),
        (None, None),
    ],
)
def test_the_first_rule_that_fits_rewrites_an_image(image, rewritten):
    rules = [{"from": "docker.io/", "to": "mirror/"}, {"from": "mirror/", "to": "never/"}]
    assert rewrite_image(image, rules) == rewritten


def test_a_rule_needs_both_sides():
    with pytest.raises(ValueError, match="'from' and 'to'"):
        rewrite_image("a", [{"match": "a"}])


class TestConfig:
    def test_a_named_block_and_an_inline_one_are_the_same(self):
        assert resolve_provider_config("sandbox", BLOCKS) == {"docker": {"create": {"network": "none"}}}
        assert resolve_provider_config(BLOCKS["sandbox"]) == resolve_provider_config("sandbox", BLOCKS)
        assert resolve_provider_metadata("sandbox", BLOCKS) == {"api": "docker-cli"}
        assert resolve_provider_metadata({"docker": {}}) == {}

    @pytest.mark.parametrize(
        ("block", "error", "message"),
        [
            ("sandbx", ValueError, "'sandbx' is not defined .* Did you mean 'sandbox'"),
            ("two", ValueError, r"exactly one provider key .* \['apptainer', 'docker'\]"),
            ({}, ValueError, "exactly one provider key"),
            (3, TypeError, "the name of a block or a mapping"),
        ],
    )
    def test_what_is_no_block_is_refused(self, block, error, message):
        with pytest.raises(error, match=message):
            resolve_provider_config(block, BLOCKS)

    def test_the_environment_says_whose_work_it_is(self, monkeypatch):
        monkeypatch.setenv("NEMO_GYM_TEAM", "blue")
        monkeypatch.setenv("NEMO_GYM_RUN_ID", "")
        assert attribution_metadata() == {"team": "blue"}


def test_importing_the_room_loads_no_provider():
    code = (
        "import nemo_gym.sandbox, sys; print([m for m in sys.modules if 'sandbox.' in m or 'asyncio' in m])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


class TestResources:
    @pytest.mark.parametrize(
        ("mapping", "resources"),
        [
            ({"cpu": "2", "memory_mib": 512}, SandboxResources(cpu=2.0, memory_mib=512)),
            ({}, SandboxResources()),
            (None, SandboxResources()),
            (SandboxResources(gpu=1), SandboxResources(gpu=1)),
        ],
    )
    def test_a_mapping_says_them(self, mapping, resources):
        assert SandboxResources.from_mapping(mapping) == resources

    @pytest.mark.parametrize(
        ("mapping", "message"),
        [
            ({"cpus": 1, 3: 4}, "Unknown sandbox resource keys: 3, cpus. Expected keys: cpu, disk_gib"),
            ([("cpu", 1)], "expected a mapping"),
            ("cpu", "expected a mapping"),
            ({"cpu": "many"}, "could not convert"),
        ],
    )
    def test_anything_else_is_refused(self, mapping, message):
        with pytest.raises(ValueError, match=message):
            SandboxResources.from_mapping(mapping)


@pytest.mark.parametrize("name", ["env", "files", "metadata"])
@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["NUL", "surrogate"])
def test_what_no_file_or_variable_can_hold_is_refused(name, text):
    with pytest.raises(ValueError, match=rf"SandboxSpec.{name}.* can't be used"):
        SandboxSpec(**{name: {text: "x"}})
    if (name, text) != ("files", "a\0b"):
        with pytest.raises(ValueError, match=rf"SandboxSpec.{name}.* can't be used"):
            SandboxSpec(**{name: {"x": text}})


def test_a_text_file_may_hold_a_nul_and_names_that_are_no_utf_8():
    assert SandboxSpec(files={"\udcff": "a\0b\udcff"}).files == {"\udcff": "a\0b\udcff"}


@pytest.mark.parametrize(("cpu", "count"), [(4, "4"), (2.9, "2"), (0.5, "1"), (0, "1")])
def test_programs_start_as_many_threads_as_there_are_whole_cores(cpu: float, count: str) -> None:
    variables = cpu_cap_env(cpu)
    assert {"OMP_NUM_THREADS", "GOMAXPROCS", "PYTHON_CPU_COUNT"} < variables.keys()
    assert set(variables.values()) == {count}


def test_without_a_limit_of_cores_there_are_no_variables() -> None:
    assert cpu_cap_env(None) == {}
