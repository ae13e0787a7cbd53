"""`gym eval prepare`: the scripts of benchmarks, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.started import Gym

PREPARE = """
from pathlib import Path
from neighbour import ROW

OUT = Path(__file__).parent / "data" / "tiny.jsonl"

def prepare(rows: int = 3) -> Path:
    print("this is no path")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(ROW * rows)
    return OUT
"""
NEIGHBOUR = """
ROW = '{"responses_create_params": {"input": "1 + 1?"}, "expected_answer": "2"}' + chr(10)
"""


@pytest.fixture
def gym(tmp_path: Path) -> Gym:
    made = Gym(tmp_path)
    benchmark(made, "tiny", PREPARE)
    return made


def benchmark(gym: Gym, name: str, script: str, target: str = "") -> None:
    folder = gym.folder / "benchmarks" / name
    folder.mkdir(parents=True)
    (folder / "prepare.py").write_text(script)
    (folder / "neighbour.py").write_text(NEIGHBOUR)
    dataset = {
        "name": name,
        "type": "benchmark",
        "jsonl_fpath": target or f"benchmarks/{name}/data/tiny.jsonl",
        "prepare_script": f"benchmarks/{name}/prepare.py",
        "num_repeats": 2,
    }
    agent = {
        "_inherit_from": "string_match_simple_agent",
        "responses_api_agents": {"simple_agent": {"datasets": [dataset]}},
    }
    tree = {"config_paths": ["resources_servers/string_match/configs/string_match.yaml"], name: agent}
    (folder / "config.yaml").write_text(json.dumps(tree))


def prepared(done: subprocess.CompletedProcess[str]) -> list[tuple[str, int, bool]]:
    assert done.returncode == 0, done.stderr
    return [(one["name"], one["rows"], one["cached"]) for one in json.loads(done.stdout)["benchmarks"]]


def test_a_prepared_benchmark_is_run(gym: Gym) -> None:
    gym.script("def answer(params):\n    return '2'\n")
    run = ("eval", "run", "--benchmark", "tiny", "--model-type", "scripted", "-m", "script.py:answer")
    missing = gym(*run, "-o", "out.jsonl")
    assert missing.returncode == 2
    assert "`gym eval prepare` makes it with benchmarks/tiny/prepare.py" in missing.stderr

    assert prepared(gym("eval", "prepare", "--benchmark", "tiny", "--json")) == [("tiny", 3, False)]

    done = gym(*run, "-o", "out.jsonl", "--agent", "tiny", "--json")
    assert json.loads(done.stdout)["summary"]["scored"] == 6


def test_a_file_that_is_there_stays_when_asked_and_arguments_arrive(gym: Gym) -> None:
    words = ("eval", "prepare", "--benchmark", "tiny", "--json")
    assert prepared(gym(*words, "+prepare_script_args.rows=5")) == [("tiny", 5, False)]
    assert prepared(gym(*words, "++use_cached_prepared_benchmarks=true")) == [("tiny", 5, True)]
    assert prepared(gym(*words)) == [("tiny", 3, False)]


def test_several_are_prepared_and_one_that_fails_does_not_keep_the_others_from_it(gym: Gym) -> None:
    benchmark(gym, "broken", "def prepare():\n    raise ValueError('no such page')\n")
    done = gym("eval", "prepare", "--benchmark", "tiny,broken", "--processes", 2)
    assert done.returncode == 1
    assert "ValueError: no such page" in done.stderr
    assert "broken: " in done.stderr
    assert (gym.folder / "benchmarks/tiny/data/tiny.jsonl").exists()


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("def prepare():\n    return 'elsewhere.jsonl'\n", "but jsonl_fpath says"),
        ("def prepare():\n    return 7\n", "prepare() returned int, not the Path that it wrote"),
        ("prepare = None\n", "has no function prepare()"),
        (
            "from pathlib import Path\ndef prepare():\n    return Path('made.jsonl')\n",
            "there is no such file",
        ),
        ("def prepare():\n    open('made.jsonl', 'w').close()\n    return 'made.jsonl'\n", "has no rows"),
        (
            "def prepare():\n    open('made.jsonl', 'w').write('[1]')\n    return 'made.jsonl'\n",
            "made.jsonl:1:",
        ),
        ("import os\ndef prepare():\n    os.kill(os.getpid(), 9)\n", "failed after"),
    ],
)
def test_what_does_not_keep_its_promise_is_named(gym: Gym, script: str, problem: str) -> None:
    benchmark(gym, "other", script, target="made.jsonl")
    done = gym("eval", "prepare", "--benchmark", "other")
    assert done.returncode in (1, 2)
    assert problem in done.stderr


def test_a_configuration_without_a_benchmark_is_told_so(gym: Gym) -> None:
    done = gym("eval", "prepare", "--environment", "mcqa")
    assert (done.returncode, "no benchmark in the configuration" in done.stderr) == (2, True)
