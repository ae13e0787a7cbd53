"""What a trainer learns from: rollouts of its policy, token sequences, batches, and exports of runs."""

from importlib.util import find_spec

if find_spec("numpy") is None:
    raise ModuleNotFoundError("nemo_gym.training needs numpy: pip install 'nemo-gym[training]'", name="numpy")

from nemo_gym.models.policies import Policy, Sampled, Sampling, Tokenizer
from nemo_gym.training.batches import Batch, batch
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.curriculum import Curriculum, profile_tasks
from nemo_gym.training.flow import Group, GroupFlow
from nemo_gym.training.mixture import Mixture, Shuffled
from nemo_gym.training.rollouts import Rollouts
from nemo_gym.training.sequences import TokenSequence, sequences

__all__ = [
    "Batch",
    "CollectedRollout",
    "Curriculum",
    "Group",
    "GroupFlow",
    "Mixture",
    "Policy",
    "Rollouts",
    "Sampled",
    "Sampling",
    "Shuffled",
    "TokenSequence",
    "Tokenizer",
    "batch",
    "profile_tasks",
    "sequences",
]
