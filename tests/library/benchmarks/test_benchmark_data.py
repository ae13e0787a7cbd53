"""Every benchmark of the library is prepared from a local hub, and its rows can be run and scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from huggingface_hub import constants

from nemo_gym.config.manifest_file import read_manifest
from nemo_gym.environments.conformance.stand_in import answer_as, stand_ins
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.task import Row
from tests.conftest import StartEndpoint
from tests.library.benchmarks.preparing import BENCHMARKS, prepare, rows_of
from tests.library.benchmarks.records import REPOSITORIES
from tests.library.playing import play, play_oracle
from tests.support.started import Gym

LICENSE = "cc-by-4.0"


def put(folder: Path, repository: str, file: str, content: bytes, license: str = "") -> None:
    path = folder / repository / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    card = json.dumps({"license": license} if license else {})
    (folder / repository / "README.md").write_text(f"---\n{card}\n---\n")


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repositories")
    for one in REPOSITORIES.values():
        put(folder, one.name, one.file, one.content(), one.license)
    return folder


def expected(row: Row) -> str:
    answer = row["expected_answer"]
    options = {letter: text for option in row.get("options", ()) for letter, text in option.items()}
    return options[answer] if "choices" in row and "domain" in row else answer


@pytest.mark.parametrize("name", sorted(REPOSITORIES))
def test_rows_from_the_hub_are_scored(name: str, repositories: Path, use_hub: Callable[..., str]) -> None:
    use_hub(repositories)
    repository, workload = REPOSITORIES[name], BENCHMARKS[name]

    path = prepare(workload)

    environment, rows = rows_of(workload, path)
    assert len(rows) == 5
    if repository.answers:
        assert [expected(row) for row in rows] == list(repository.answers)
    link = LocalEnvironment(environment, resources=stand_ins(environment.asks))
    for number, row in enumerate(rows):
        message = row["responses_create_params"]["input"][-1]["content"]
        assert row.get("question", "") in message
        assert "{question}" not in message
        answer_as({"judge": "A"})
        right = play(link, row, repository.outputs[number]) if repository.outputs else play_oracle(link, row)
        answer_as({"judge": "C"})
        assert (play(link, row, "").value, right.value) == environment.reward_range
    lock = json.loads((path.parent.parent / "lock.json").read_text())
    assert (lock["repository"], lock["license"]) == (repository.name, repository.license)
    assert list(lock["files"]) == [repository.file]


def test_bigcodebench_has_hard_tasks_and_prompts_to_complete(
    tmp_path: Path, use_hub: Callable[..., str]
) -> None:
    full = REPOSITORIES["bigcodebench"]
    hard = full._replace(name="bigcode/bigcodebench-hard", records=full.records[:2])
    put(tmp_path / "hub", hard.name, hard.file, hard.content(), hard.license)
    use_hub(tmp_path / "hub")

    path = prepare(BENCHMARKS["bigcodebench"], subset="hard", prompt="complete")

    _, rows = rows_of(BENCHMARKS["bigcodebench"], path)
    assert len(rows) == 2
    assert full.records[1]["complete_prompt"] in rows[1]["responses_create_params"]["input"][0]["content"]


@pytest.mark.parametrize(
    ("name", "count"), [("arc_agi_1", 400), ("bfcl_v3", 3000), ("ifbench", 294), ("ruler", 13), ("tau2", 164)]
)
def test_rows_from_packages_and_generators_are_whole(
    name: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = prepare(BENCHMARKS[name], **({"length": 60, "tasks": 1} if name == "ruler" else {}))

    environment, rows = rows_of(BENCHMARKS[name], path)

    assert len(rows) >= count
    if environment.asks:
        return  # Episodes with the customer are played in the tests of the environment.
    link = LocalEnvironment(environment)
    for row in rows[:5]:
        if name != "ifbench":  # The package has no right answers.
            assert play_oracle(link, row).value == environment.reward_range[1]
        assert play(link, row, "").value == environment.reward_range[0]


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_the_manifest_agrees_with_the_configuration(name: str) -> None:
    workload = BENCHMARKS[name]
    manifest, config = read_manifest(workload.manifest), workload.resolve()
    (server,), (agent,) = config.of("resources_servers"), config.of("responses_api_agents")
    environment = find_environment(server.implementation)
    assert (manifest.resources_server, manifest.agent_server) == (server.implementation, agent.implementation)
    assert manifest.name == name == workload.folder.name
    assert manifest.domain == environment.domain
    assert manifest.reward.range == environment.reward_range
    (declared,), (described,) = agent.datasets, manifest.datasets
    for field in ("name", "type", "jsonl_fpath", "prepare_script", "prompt_config", "num_repeats"):
        assert getattr(declared, field) == getattr(described, field)


def test_a_change_on_the_hub_does_not_reach_a_benchmark_that_is_locked(
    tmp_path: Path, use_hub: Callable[..., str]
) -> None:
    folder, repository = tmp_path / "hub", REPOSITORIES["math500"]
    put(folder, repository.name, repository.file, repository.content())
    use_hub(folder)
    path = prepare(BENCHMARKS["math500"])
    first = path.read_bytes()
    put(folder, repository.name, repository.file, repository.content().replace(b"1 + 2", b"2 + 1"))
    use_hub(folder)  # the same repository at a new revision, without the old one

    with pytest.raises(GymError, match="the hub has no such revision"):
        prepare(BENCHMARKS["math500"])

    assert path.read_bytes() == first


def test_a_file_that_differs_from_the_first_download_is_refused(
    tmp_path: Path, repositories: Path, use_hub: Callable[..., str]
) -> None:
    use_hub(repositories)
    path = prepare(BENCHMARKS["math500"])
    lock = path.parent.parent / "lock.json"
    facts = json.loads(lock.read_text())
    lock.write_text(json.dumps({**facts, "files": {"test.jsonl": "0" * 64}}))

    with pytest.raises(GymError, match=r"test.jsonl has the checksum .* delete .*lock.json to accept"):
        prepare(BENCHMARKS["math500"])


@pytest.fixture
def gym(tmp_path: Path) -> Gym:
    return Gym(tmp_path)


def test_a_download_that_was_cut_off_goes_on_where_it_ended(
    tmp_path: Path, use_hub: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = REPOSITORIES["math500"]
    put(tmp_path / "hub", repository.name, repository.file, repository.content() * 20)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    url = use_hub(tmp_path / "hub", cuts=1)

    path = prepare(BENCHMARKS["math500"])

    assert len(path.read_text().splitlines()) == 100
    with urlopen(f"{url}/state") as answer:
        first, second = json.load(answer)["ranges"]
    assert first == 0
    assert second > 0


def test_a_suite_has_one_table(gym: Gym, repositories: Path, start_endpoint: StartEndpoint) -> None:
    url = start_endpoint("hub_server.py", folder=repositories).removesuffix("/v1")
    gym.env |= {"HF_ENDPOINT": url, "HF_HOME": str(gym.folder / "hub"), "HF_HUB_DISABLE_XET": "1"}
    done = gym("eval", "prepare", "--benchmark", "gsm8k", "--benchmark", "mmlu_pro")
    assert done.returncode == 0, done.stderr
    assert "openai/gsm8k at" in done.stdout
    assert "licence: mit" in done.stdout
    gym.script("def answer(params):\n    return '\\\\boxed{3}'\n")
    words = ("--model-type", "scripted", "-m", "script.py:answer")

    suite = gym("run", "--benchmark", "gsm8k,mmlu_pro", *words, "-o", "out")

    assert suite.returncode == 0, suite.stderr
    table = suite.stdout[suite.stdout.rindex("solved at best") :]
    cells = [[cell.strip() for cell in line.split("│")[1:5]] for line in table.splitlines() if "of 5" in line]
    assert cells == [["gsm8k", "5", "5 of 5", "0.200"], ["mmlu_pro", "5", "5 of 5", "0.000"]]
    again = gym("run", "--benchmark", "gsm8k,mmlu_pro", *words, "-o", "out")
    assert again.returncode == 2
    assert "out/gsm8k.jsonl exists already" in again.stderr
    assert again.stdout.count("not run") == 2
    as_json = gym("run", "--benchmark", "gsm8k,math500", *words, "-o", "out2", "--json")
    assert as_json.returncode == 2
    reports = json.loads(as_json.stdout)["benchmarks"]
    assert reports["gsm8k"]["summary"]["scored"] == 5
    assert reports["math500"] is None
    assert "math500: " in as_json.stderr
    assert "`gym eval prepare` makes it" in as_json.stderr
