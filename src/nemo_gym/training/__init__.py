"""What a trainer learns from: token sequences of rollouts, batches, checks of tokens, and exports of runs."""

from nemo_gym.training.batches import Batch, batch
from nemo_gym.training.sequences import TokenSequence, sequences

__all__ = ["Batch", "TokenSequence", "batch", "sequences"]
