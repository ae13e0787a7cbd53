"""The tokens of captured calls: their form, and what a store of a trainer's own has to do (CONTRACT 5.10)."""

from nemo_gym.capture.tokens import TokenSink as TokenSink
from nemo_gym.capture.tokens import TokenSource as TokenSource
from nemo_gym.wire.calls import TokenEntry as TokenEntry
