"""A model gets better: GRPO with TRL on rollouts of an environment, beside a control run; `make train-demo`.

Each run trains the same model with another seed. The control run gets its rewards in a random order, so it
must not get better. The mean rewards on held-out tasks go to curve.csv and curve.png. The weights before and
after the first run are also evaluated with `gym run`.
"""

import argparse
import csv
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import transformers
import trl
from datasets import Dataset
from matplotlib.figure import Figure

from nemo_gym.models.llamacpp import find_weights
from nemo_gym.models.policies.hf import HFPolicy
from nemo_gym.training import Rollouts

RISE = 0.2
"""By how much the mean reward must rise."""


def main():
    options = read_options()
    options.output.mkdir(parents=True)
    curves = {}
    for run in [*(f"seed {seed}" for seed in range(options.seeds)), "control"]:
        began = time.monotonic()
        curves[run] = train(run, options)
        print(f"{run}: {curves[run]}, {time.monotonic() - began:.0f} s", flush=True)
    write_curves(curves, options.output)
    for name in ("before", "after"):
        evaluate(name, options)
    rises = {run: curve[max(curve)] - curve[0] for run, curve in curves.items()}
    control = rises.pop("control")
    rise = statistics.mean(rises.values())
    print(f"\n{options.output / 'curve.png'}")
    print(f"held-out mean reward: {rise:+.2f} over {len(rises)} seeds, control {control:+.2f}")
    return 0 if rise >= RISE and control < RISE / 2 else 1


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=None, help="folder or GGUF file; default: the embedded model")
    parser.add_argument("--environment", default="reasoning")
    parser.add_argument("--settings", nargs="*", default=["families=addition"], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=3, help="runs, beside the control run")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32, help="rollouts per step, 8 of each task")
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--max-steps", type=int, default=4, help="model calls of a rollout")
    parser.add_argument("--max-tokens", type=int, default=8, help="tokens of an answer")
    parser.add_argument("--held-out", type=int, default=64, help="tasks of the validation split")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    folder = Path("results") / time.strftime("train-demo-%Y%m%d-%H%M%S")
    parser.add_argument("--output", type=Path, default=folder, help="a new folder")
    options = parser.parse_args()
    options.model = options.model or str(find_weights())
    return options


def train(run, options):
    """Train from the first weights. Returns the mean reward on held-out tasks by step."""
    seed = 0 if run == "control" else int(run.removeprefix("seed "))
    transformers.set_seed(seed)
    policy = HFPolicy.load(options.model)
    policy.model.to(options.device)
    settings = dict(one.split("=", 1) for one in options.settings)
    curve = {}
    with Rollouts(
        options.environment,
        policy=policy,
        settings=settings,
        seed=seed,
        max_steps=options.max_steps,
        max_tokens=options.max_tokens,
    ) as gym:
        held_out = gym.dataset("validation", options.held_out)

        def measure(step):
            rewards = [rollout.reward for rollout in gym.collect_sync(held_out, repeats=2)]
            curve[step] = round(statistics.mean(reward for reward in rewards if reward is not None), 3)
            print(f"{run}, step {step}: held-out mean reward {curve[step]}", flush=True)

        class Measure(transformers.TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                if state.global_step % 5 == 0 or state.global_step == state.max_steps:
                    measure(state.global_step)

        def shuffled(ng_reward, **_):
            return random.sample(ng_reward, len(ng_reward))

        measure(0)
        trainer = trl.GRPOTrainer(
            model=policy.model,
            processing_class=policy.tokenizer,
            args=trl.GRPOConfig(
                output_dir=str(options.output / "trainer"),
                per_device_train_batch_size=options.batch,
                num_generations=8,
                max_steps=options.steps,
                learning_rate=options.learning_rate,
                lr_scheduler_type="constant_with_warmup",
                warmup_steps=2,
                seed=seed,
                use_cpu=options.device == "cpu",
                gradient_checkpointing=False,
                bf16=has_bf16(options.device),
                save_strategy="no",
                report_to="none",
                logging_steps=5,
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(gym.dataset("train", n=options.steps * options.batch // 8)),
            rollout_func=gym.trl_rollout_func(),
            reward_funcs=shuffled if run == "control" else gym.trl_reward,
            callbacks=[Measure()],
        )
        trainer.train()
    if run == "seed 0":
        policy.model.save_pretrained(options.output / "model")
        policy.tokenizer.save_pretrained(options.output / "model")
    return curve


def has_bf16(device):
    return torch.cuda.is_bf16_supported() if device == "cuda" else torch.cpu._is_avx512_bf16_supported()


def evaluate(name, options):
    """Evaluate the weights with the ordinary command; it prints the mean reward with its interval."""
    model = options.model if name == "before" else str(options.output / "model")
    print(f"\n{name} training:", flush=True)
    subprocess.run(
        [
            *(Path(sys.executable).with_name("gym"), "run", options.environment, *options.settings),
            *("--split", "test", "--limit", "64", "--num-repeats", "4", "--seed", "0"),
            *("--model-type", "hf", "--model", model, "--max-output-tokens", str(options.max_tokens)),
            *("--output", str(options.output / f"{name}.jsonl")),
        ],
        check=True,
    )


def write_curves(curves, folder):
    with open(folder / "curve.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", "step", "held_out_mean_reward"])
        writer.writerows([run, step, value] for run, curve in curves.items() for step, value in curve.items())
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for run, curve in curves.items():
        style = {"color": "gray", "linestyle": "--"} if run == "control" else {}
        label = "control, shuffled rewards" if run == "control" else run
        axes.plot(list(curve), list(curve.values()), marker="o", label=label, **style)
    axes.set(xlabel="training step", ylabel="mean reward on held-out tasks", ylim=(0, 1))
    axes.set_xticks(list(next(iter(curves.values()))))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(folder / "curve.png", dpi=150)


if __name__ == "__main__":
    raise SystemExit(main())
