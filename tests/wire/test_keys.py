"""Each key of a row has one name, and belongs to the task or to the run."""

from __future__ import annotations

import re
from pathlib import Path

import nemo_gym
from nemo_gym.wire import keys
from tests.support.earlier_run import COLUMNS, DETAILS, IDENTITY

NAMES = {name: value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str)}


def test_a_key_has_one_name() -> None:
    assert len(set(NAMES.values())) == len(NAMES)


def test_a_key_belongs_to_the_run_or_to_what_was_asked() -> None:
    asked = {"AGENT_REF", "PARAMS", "VERIFIER_METADATA", "SKILLS_REF", "PROMPT_CONFIG_USED"}
    of_no_file = {"PREFIX", "MODEL_NUMBER", "STEP_REQUEST_ID"}

    assert {name for name, value in NAMES.items() if value not in keys.RUN_KEYS} == asked | of_no_file
    assert COLUMNS.keys() <= keys.NOT_TASK
    assert (IDENTITY.keys(), DETAILS.keys()) == (keys.IDENTITY, keys.DETAIL_KEYS)


def test_a_key_stands_as_text_in_one_place() -> None:
    common = {"response", "reward", "reward_components", "responses_create_params"}
    literal = re.compile(rf"""["']({"|".join({*NAMES.values()} - common)})["']""")
    package = Path(nemo_gym.__file__).parent
    authors = package / "library"
    files = [path for path in package.rglob("*.py") if not path.is_relative_to(authors)]

    found = [path for path in files if literal.search(path.read_text())]

    assert [str(path.relative_to(package)) for path in found] == ["wire/keys.py"]
