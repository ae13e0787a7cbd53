"""The name under which verifiers finds the environments of nemo_gym: `taskset.id = "nemo-gym-verifiers"`."""

from nemo_gym.training.trainers.verifiers import GymEnv, GymHarness, GymTaskset

__all__ = ["GymEnv", "GymHarness", "GymTaskset"]
