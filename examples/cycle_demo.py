"""The closed loop with Data Designer: bootstrap, refine, iterate; `make cycle-demo`.

Each cycle generates tasks with Data Designer, collects rollouts, and writes the next configuration. Every
step is a command that is printed, so it can be run by hand. By default the data set is made of samplers and
templates and the embedded model answers: no key, no network, no GPU. With --model-url, a chat endpoint also
words the questions.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from nemo_gym.siblings.data_designer.config import load_config, write_yaml
from nemo_gym.siblings.data_designer.cycle import cycle_page, read_cycle, shift
from nemo_gym.siblings.data_designer.page import write_page

FOLDER = Path(__file__).parent / "cycle_demo"
COLUMN = "topic"


def main():
    options = read_options()
    options.output.mkdir(parents=True)
    began = time.monotonic()
    config = options.output / "config_1.yaml"
    write_yaml(config, first_config(options))
    cycles, reports = [], []
    for cycle in range(1, options.cycles + 1):
        print(f"\ncycle {cycle}", flush=True)
        tasks, run, config = one_cycle(cycle, config, options)
        cycles.append(read_cycle(tasks, run, COLUMN))
        reports.append(f"../report_{cycle}/report.html")
    write_page(cycle_page(cycles, COLUMN, reports=reports), options.output / "report")
    return conclude(cycles, options, time.monotonic() - began)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument(
        "--records", type=int, help="rows of each data set; default: 1000, or 200 with an endpoint"
    )
    parser.add_argument("--tasks", type=int, default=60, help="rows that the model answers")
    parser.add_argument("--repeats", type=int, default=4, help="rollouts of a task")
    parser.add_argument("--max-tokens", type=int, default=24, help="tokens of an answer")
    parser.add_argument("--model-url", default="", help="a chat endpoint, instead of the embedded model")
    parser.add_argument("--model", default="", help="the model's name there")
    folder = Path("results") / time.strftime("cycle-demo-%Y%m%d-%H%M%S")
    parser.add_argument("--output", type=Path, default=folder, help="a new folder")
    options = parser.parse_args()
    options.records = options.records or (200 if options.model_url else 1000)
    if options.cycles < 2:
        parser.error("--cycles: at least 2")
    if bool(options.model_url) != bool(options.model):
        parser.error("--model-url and --model go together")
    return options


def first_config(options):
    """The configuration of the first cycle; with an endpoint, a model writes each question in other words."""
    config = load_config(FOLDER / "config.yaml")
    if options.model_url:
        parts = config["data_designer"]
        parts["model_configs"] = [
            {
                "alias": "writer",
                "model": options.model,
                "provider": "gym",
                "inference_parameters": {"max_tokens": 64},
            }
        ]
        wording = "Write this question in other words. Keep every name and number: {{ question }}"
        parts["columns"].append(
            {"name": "wording", "column_type": "llm-text", "model_alias": "writer", "prompt": wording}
        )
        message = parts["processors"][0]["template"]["responses_create_params"]["input"][0]
        message["content"] = "{% if wording is string %}{{ wording }}{% else %}{{ question }}{% endif %}"
    return config


def one_cycle(cycle, config, options):
    """Generate, collect and refine; the tasks, the rollouts and the next configuration."""
    folder = options.output
    tasks, run = folder / f"tasks_{cycle}.jsonl", folder / f"run_{cycle}.jsonl"
    environment = str(FOLDER / "short_questions.py")
    endpoint = ["--model-url", options.model_url, "--model", options.model] if options.model_url else []
    following = folder / f"config_{cycle + 1}.yaml"
    name = f"cycle_{cycle}"
    gym(
        *("data-designer", "create", config, "-n", options.records),
        *("-o", folder / "artifacts", "--name", name, *endpoint),
        log=folder / f"create_{cycle}.txt",
    )
    gym("data-designer", "import", folder / "artifacts" / name, "-o", tasks, "--environment", environment)
    gym(
        *("run", environment, "-i", tasks, "-o", run),
        *("--limit", options.tasks, "--num-repeats", options.repeats),
        *("--max-output-tokens", options.max_tokens, "--temperature", 0.4, "--seed", cycle, *endpoint),
    )
    report = folder / f"report_{cycle}"
    gym("data-designer", "refine", "--rollouts", run, "--config", config, "-o", following, "--report", report)
    return tasks, run, following


def gym(*words, log=None):
    """Run a command. With a log its output goes there, and is printed only if it fails."""
    words = [str(word) for word in words]
    print(f"$ gym {shlex.join(words)}", flush=True)
    result = subprocess.run(
        [sys.executable, "-m", "nemo_gym", *words],
        env={**os.environ, "NEMO_TELEMETRY_ENABLED": "false"},
        stdout=subprocess.PIPE if log else None,
        stderr=subprocess.STDOUT if log else None,
        check=False,
    )
    if log:
        log.write_bytes(result.stdout)
    if result.returncode:
        raise SystemExit(f"{result.stdout.decode() if log else ''}gym {words[0]} failed")


def conclude(cycles, options, seconds):
    """Print the table of cycles and the test; the exit code says whether the rows moved to the weak topic."""
    print(f"\n{'topic':<18}" + "".join(f"{f'cycle {number}':>24}" for number in range(1, len(cycles) + 1)))
    groups = [cycle.evidence.by_value(COLUMN) for cycle in cycles]
    for name in groups[0]:
        cells = [
            f"{cycle.rows.get(name, 0)} rows, {one[name].rate:.0%} solved" if name in one else "none"
            for cycle, one in zip(cycles, groups, strict=True)
        ]
        print(f"{name:<18}" + "".join(f"{cell:>24}" for cell in cells))
    moved = shift(cycles[0], cycles[1], COLUMN)
    test = moved.proportion
    print(
        f"\nrows of the weakest topic, {moved.value}: {moved.before[0]} of {moved.before[1]}, then ", end=""
    )
    print(f"{moved.after[0]} of {moved.after[1]}", end="")
    print("" if test is None else f" (z = {test.statistic:.2f}, p = {test.p_value:.2g})")
    print(f"{options.output / 'report' / 'report.html'}, {seconds:.0f} s")
    return 0 if test is not None and test.statistic > 0 and test.p_value < 0.05 else 1


if __name__ == "__main__":
    raise SystemExit(main())
