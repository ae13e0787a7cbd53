"""What this package asks of what existing code installs beside it."""

from __future__ import annotations

import re
from importlib.metadata import requires

import omegaconf


def test_omegaconf_may_be_the_one_that_hydra_wants() -> None:
    """hydra-core 1.3, which NeMo RL needs, takes omegaconf from 2.2 and below 2.4."""
    (wanted,) = [one for one in requires("nemo-gym") or () if re.match(r"omegaconf\b", one)]
    bounds = re.findall(r"(<=|<|>=|>|==|~=|!=)\s*(\d+)\.(\d+)", wanted)
    assert [(sign, int(major), int(minor)) for sign, major, minor in bounds] == [(">=", 2, 3)]
    assert tuple(map(int, omegaconf.__version__.split(".")[:2])) >= (2, 3)
