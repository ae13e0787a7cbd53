"""The roots that existing servers lie in, found from anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.serving.checkouts import checkout, checkouts, enclosing_roots


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "root" / "resources_servers" / "demo" / "tests").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.delenv("NEMO_GYM_EXTRA_ROOTS", raising=False)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "root"


@pytest.mark.parametrize("inside", ["resources_servers/demo", "resources_servers/demo/tests"])
def test_a_servers_own_folder_lies_in_its_root(
    root: Path, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / inside)
    assert checkout() == root
    assert enclosing_roots() == [root]


@pytest.mark.parametrize("kind", ["benchmarks", "environments"])
def test_so_does_the_folder_of_a_benchmark_unless_there_are_no_servers(
    root: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / kind / "demo" / "tests").mkdir(parents=True)
    monkeypatch.chdir(root / kind / "demo" / "tests")
    assert checkout() == root
    assert enclosing_roots() == [root]
    (tmp_path / "elsewhere" / kind / "demo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere" / kind / "demo")
    assert enclosing_roots() == []


def test_its_own_root_comes_before_the_extra_ones(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "extra" / "resources_servers").mkdir(parents=True)
    monkeypatch.setenv("NEMO_GYM_EXTRA_ROOTS", str(tmp_path / "extra"))
    assert checkout() == tmp_path / "extra"
    assert checkout(root / "resources_servers" / "demo") == root


def test_a_folder_without_servers_is_no_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkout() is None
    assert enclosing_roots() == []
    monkeypatch.chdir(root)
    assert checkout() == root
    assert enclosing_roots() == []


def test_what_servers_import_one_another_from_is_looked_in_too(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert root not in checkouts()
    monkeypatch.syspath_prepend(str(root))
    assert root in checkouts()
