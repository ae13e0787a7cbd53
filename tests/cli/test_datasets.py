"""`gym dataset`: collating, rendering, and a hub that speaks the real routes on the loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from conftest import StartEndpoint, read_rows

from tests.support.hub_server import COLLECTION, LARGE, TOKEN
from tests.support.started import Gym

ROWS = [{"responses_create_params": {"input": f"task {number}"}, "number": number} for number in range(3)]
SERVER = {"my_env": {"resources_servers": {"my_env": {"entrypoint": "app.py", "domain": "long_context"}}}}


@pytest.fixture
def gym(tmp_path: Path) -> Gym:
    return Gym(tmp_path)


class Hub:
    """A hub, and what it was asked to keep."""

    def __init__(self, url: str, gym: Gym) -> None:
        self.url = url
        home = str(gym.folder / "hub-home")
        # Large files by git LFS: their newer transport has a server of its own.
        gym.env |= {"HF_ENDPOINT": url, "HF_HOME": home, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}

    def state(self) -> dict[str, Any]:
        with urlopen(f"{self.url}/state") as answer:
            return json.load(answer)

    def files(self, name: str, revision: str = "main") -> dict[str, str]:
        return self.state()["repos"][name]["revisions"][revision]


@pytest.fixture
def hub(start_endpoint: StartEndpoint, gym: Gym) -> Hub:
    return Hub(start_endpoint("hub_server.py").removesuffix("/v1"), gym)


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    return str(path)


def configured(gym: Gym, *datasets: dict[str, Any]) -> str:
    reference = {"type": "resources_servers", "name": "my_env"}
    fields = {"entrypoint": "app.py", "resources_server": reference, "datasets": list(datasets)}
    tree = {**SERVER, "my_agent": {"responses_api_agents": {"simple_agent": fields}}}
    (gym.folder / "run.yaml").write_text(yaml.safe_dump(tree))
    return "run.yaml"


def dataset(path: str, **fields: Any) -> dict[str, Any]:
    return {"name": Path(path).stem, "type": "train", "jsonl_fpath": path, "license": "MIT", **fields}


COLLATE = ("dataset", "collate", "--config", "run.yaml", "--mode", "train_preparation", "--output-dir", "out")


def test_collating_names_what_it_leaves_out(gym: Gym) -> None:
    configured(gym, dataset("a.jsonl", num_repeats=2))
    write(gym.folder / "a.jsonl", *ROWS, {"responses_create_params": {"inputs": "x"}})
    result = gym(*COLLATE)
    assert (result.returncode, result.stdout) == (0, "train        6 rows, 1 left out -> out/train.jsonl\n")
    assert "a.jsonl:4: responses_create_params.inputs: unknown field. Did you mean 'input'?" in result.stderr
    assert [one["agent_ref"]["name"] for one in read_rows(gym.folder / "out/train.jsonl")] == ["my_agent"] * 6


def test_keys_say_the_same_as_flags(gym: Gym) -> None:
    configured(gym, dataset("a.jsonl"))
    write(gym.folder / "a.jsonl", *ROWS)
    words = ("+config_paths=[run.yaml]", "+mode=train_preparation", "+output_dirpath=out")
    result = gym("dataset", "collate", *words)
    assert (result.returncode, result.stdout) == (0, "train        3 rows -> out/train.jsonl\n"), (
        result.stderr
    )


def test_a_conflict_is_an_error_until_it_is_overwritten(gym: Gym) -> None:
    configured(gym, dataset("a.jsonl"))
    write(gym.folder / "a.jsonl", *ROWS)
    (gym.folder / "a_metrics.json").write_text('{"Number of examples": 7}')
    result = gym(*COLLATE)
    assert (result.returncode, "a_metrics.json: Number of examples: was 7, is 3" in result.stderr) == (
        1,
        True,
    )
    assert not (gym.folder / "out/train.jsonl").exists()
    result = gym(*COLLATE, "+overwrite_metrics_conflicts=true", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [
        {"type": "train", "path": "out/train.jsonl", "rows": 3, "refused": 0}
    ]


def test_collating_needs_a_mode_and_a_folder(gym: Gym) -> None:
    configured(gym, dataset("a.jsonl"))
    result = gym("dataset", "collate", "--config", "run.yaml")
    assert (result.returncode, "--mode train_preparation or example_validation" in result.stderr) == (2, True)
    result = gym(*COLLATE)
    assert (result.returncode, "my_agent: data set 'a' has no file a.jsonl" in result.stderr) == (2, True)


def test_a_file_is_rendered_by_flags_or_by_keys(gym: Gym) -> None:
    (gym.folder / "p.yaml").write_text("user: What is {what}?\n")
    write(gym.folder / "a.jsonl", {"what": "x"})
    result = gym("dataset", "render", "-i", "a.jsonl", "--prompt-config", "p.yaml", "-o", "b.jsonl")
    assert (result.returncode, result.stdout) == (0, "1 rows -> b.jsonl\n")
    keys = ("+input_jsonl_fpath=a.jsonl", "+prompt_config=p.yaml", "+output_jsonl_fpath=c.jsonl")
    assert gym("dataset", "render", *keys).returncode == 0
    assert read_rows(gym.folder / "b.jsonl") == read_rows(gym.folder / "c.jsonl")
    assert gym("dataset", "render", "-i", "a.jsonl").returncode == 2


def upload(gym: Gym, *words: object) -> Any:
    (gym.folder / "server.yaml").write_text(yaml.safe_dump(SERVER))
    keys = ("hf_organization=acme", "resource_config_path=server.yaml")
    return gym("dataset", "upload", "--storage", "hf", *keys, *words)


@pytest.mark.parametrize("size", [1, LARGE])
def test_what_is_uploaded_is_private_named_after_its_environment_and_comes_back(
    gym: Gym, hub: Hub, size: int
) -> None:
    rows = [{**row, "text": "x" * size} for row in ROWS]
    write(gym.folder / "train.jsonl", *rows)
    result = upload(gym, "-i", "train.jsonl", "commit_message=First", "hf_collection_name=gym",
                  "hf_collection_slug=0123456789abcdef01234567")  # fmt: skip
    assert result.returncode == 0, result.stderr
    name = "acme/Nemotron-RL-long_context-my_env"
    assert result.stdout.startswith(f"{name}\n{hub.url}/datasets/{name}/commit/")
    state = hub.state()
    assert state["items"] == [name]
    assert COLLECTION.startswith("acme/gym-")
    assert (state["repos"][name]["private"], state["repos"][name]["commits"][0]["summary"]) == (True, "First")
    result = gym("dataset", "download", "--repo-id", name, "--split", "train", "-o", "back/rows.jsonl")
    assert result.returncode == 0, result.stderr
    assert read_rows(gym.folder / "back/rows.jsonl") == rows
    assert [path.name for path in (gym.folder / "back").iterdir()] == ["rows.jsonl"]
    again = upload(gym, "-i", "train.jsonl", "--name", "mine", "hf_dataset_prefix=Ours", "--create-pr")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[1].endswith("/discussions/1")
    assert list(hub.files("acme/Ours-long_context-mine", "refs/pr/1")) == ["train.jsonl"]
    assert hub.files("acme/Ours-long_context-mine") == {}


def test_every_split_one_file_or_a_revision_is_downloaded(gym: Gym, hub: Hub) -> None:
    for name in ("train.jsonl", "validation.jsonl"):
        write(gym.folder / name, *ROWS, {**ROWS[0], "file": name})
        assert upload(gym, "-i", name, "--name", "sums").returncode == 0
    assert upload(gym, "-i", "train.jsonl", "--name", "sums", "--create-pr").returncode == 0
    repository = "acme/Nemotron-RL-long_context-sums"
    result = gym("dataset", "download", "--repo-id", repository, "--output-dir", "all")
    assert result.stdout.splitlines() == ["all/train.jsonl", "all/validation.jsonl"]
    assert read_rows(gym.folder / "all/validation.jsonl")[3]["file"] == "validation.jsonl"
    words = (
        "dataset",
        "download",
        "--repo-id",
        repository,
        "--artifact",
        "train.jsonl",
        "--output-dir",
        "one",
    )
    assert gym(*words, "--revision", "refs/pr/1").returncode == 0
    assert (gym.folder / "one/train.jsonl").read_bytes() == (gym.folder / "train.jsonl").read_bytes()
    missing = gym(*words, "--revision", "v9")
    assert (missing.returncode, "no such revision" in missing.stderr) == (1, True)
    missing = gym("dataset", "download", "--repo-id", repository, "--artifact", "trian.jsonl", "-o", "x")
    assert (missing.returncode, "Did you mean 'train.jsonl'?" in missing.stderr) == (1, True)
    missing = gym("dataset", "download", "--repo-id", repository, "--split", "test", "-o", "x")
    assert (missing.returncode, "has no split 'test'" in missing.stderr) == (2, True)
    assert not (gym.folder / "x").exists()
    denied = gym(*words, HF_TOKEN="hf_other")
    assert (denied.returncode, "needs a token" in denied.stderr) == (1, True)
    (gym.folder / "env.yaml").write_text(f"hf_token: {TOKEN}\n")
    assert gym(*words, HF_TOKEN="").returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "which data set? It is named OWNER/NAME (--repo-id)"),
        (("--repo-id", "a/b"), "where to? Name a file or a folder (--output, --output-dir)"),
        (
            ("--repo-id", "a/b", "-o", "x"),
            "name a split, or give a folder (--split, --output-dir)",
        ),
        (("--repo-id", "a/b", "--split", "train", "--artifact", "x", "-o", "x"), "give one of them"),
        (("--storage", "gitlab", "--name", "x"), "GitLab registry (MLflow) is not offered here"),
        (("--name", "x"), "--name is of a data set in GitLab"),
        (("--repo-id", "a/b/c", "--output-dir", "x"), "a/b/c: Repo id must be in the form"),
        (("--repo-idd", "x"), "--repo-id"),
    ],
)
def test_what_a_download_lacks_is_said(gym: Gym, words: tuple[str, ...], message: str) -> None:
    result = gym("dataset", "download", *words)
    assert (result.returncode, message in result.stderr, "Traceback" in result.stderr) == (2, True, False)


def test_a_train_split_is_looked_at_before_anything_is_sent(gym: Gym, hub: Hub) -> None:
    write(gym.folder / "a.jsonl", ROWS[0], {"number": 1})
    result = upload(gym, "-i", "a.jsonl")
    assert (result.returncode, "a.jsonl:2: responses_create_params: missing. It is" in result.stderr) == (
        2,
        True,
    )
    assert hub.state()["repos"] == {}
    assert upload(gym, "-i", "a.jsonl", "--split", "validation").returncode == 0
    result = gym("dataset", "upload", "-i", "a.jsonl")
    needed = "needed: hf_organization=NAME, resource_config_path=PATH (env.yaml may have the keys)"
    assert (result.returncode, needed in result.stderr) == (2, True)
    assert "needed: input_jsonl_fpath=FILE, hf_organization=NAME" in gym("dataset", "upload").stderr
    denied = gym("dataset", "upload", "-i", "a.jsonl", "--split", "test", "hf_organization=acme",
                 "resource_config_path=server.yaml", HF_TOKEN="hf_other_secret")  # fmt: skip
    assert (denied.returncode, "hf_other_secret" in denied.stderr, "Traceback" in denied.stderr) == (
        1,
        False,
        False,
    )


@pytest.mark.parametrize("words", [("rm", "--name", "x"), ("migrate", "-i", "x", "--create-pr")])
def test_gitlab_commands_say_what_to_use(gym: Gym, words: tuple[str, ...]) -> None:
    result = gym("dataset", *words)
    assert (result.returncode, "gym dataset upload --storage hf" in result.stderr) == (2, True)


def test_data_sets_that_are_not_here_are_downloaded_when_asked(gym: Gym, hub: Hub) -> None:
    write(gym.folder / "train.jsonl", *ROWS)
    assert upload(gym, "-i", "train.jsonl", "--name", "sums").returncode == 0
    repository = "acme/Nemotron-RL-long_context-sums"
    source = {"type": "huggingface", "repo_id": repository}
    configured(
        gym,
        dataset("data/a.jsonl", source=source),
        dataset(
            "data/b.jsonl", huggingface_identifier={"repo_id": repository, "artifact_fpath": "train.jsonl"}
        ),
    )
    refused = gym(*COLLATE)
    assert (refused.returncode, f"--download` gets it from {repository}" in refused.stderr) == (2, True)
    result = gym(*COLLATE, "--download")
    assert result.returncode == 0, result.stderr
    assert "downloaded data/a.jsonl\ndownloaded data/b.jsonl\n" in result.stderr
    assert len(read_rows(gym.folder / "out/train.jsonl")) == 6
    configured(gym, dataset("data/a.jsonl", source={**source, "repo_id": "acme/none"}), dataset("c.jsonl"))
    (gym.folder / "data/a.jsonl").unlink()
    result = gym(*COLLATE, "--download")
    assert (result.returncode, "data set 'a': acme/none: the hub has no such data set" in result.stderr) == (
        1,
        True,
    )


def test_a_run_downloads_the_data_set_of_its_split(gym: Gym, hub: Hub) -> None:
    task = {
        "responses_create_params": {"input": "?"},
        "options": [{"A": "1"}, {"B": "2"}],
        "expected_answer": "B",
    }
    write(gym.folder / "train.jsonl", task)
    assert upload(gym, "-i", "train.jsonl", "--name", "quiz").returncode == 0
    source = {"type": "huggingface", "repo_id": "acme/Nemotron-RL-long_context-quiz"}
    agent = {"mcqa_simple_agent": {"responses_api_agents": {"simple_agent": {
        "datasets": [dataset("tasks.jsonl", source=source)]}}}}  # fmt: skip
    tree = {"config_paths": ["resources_servers/mcqa/configs/mcqa.yaml"], **agent}
    (gym.folder / "run.yaml").write_text(yaml.safe_dump(tree))
    result = gym("eval", "run", "--config", "run.yaml", "--model-type", "random", "-o", "a.jsonl")
    assert result.returncode == 0, result.stderr
    assert "downloaded tasks.jsonl\n" in result.stderr
    assert len(read_rows(gym.folder / "a.jsonl")) == 1
