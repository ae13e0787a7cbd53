"""A secret is used, never shown."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict

import msgspec
import pytest

from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.secrets import Secret

VALUE = "correct horse"


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{0:>20}".format, "%s".__mod__, lambda secret: repr([secret])]
)
def test_no_way_of_printing_shows_the_value(show):
    assert VALUE not in show(Secret(VALUE))


@pytest.mark.parametrize("write", [json.dumps, msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps])
def test_no_way_of_serialising_takes_a_secret(write):
    with pytest.raises(TypeError):
        write({"token": Secret(VALUE)})


def test_options_that_are_shown_or_turned_into_a_dict_keep_their_secrets():
    options = AppOptions(token=Secret(VALUE))

    assert VALUE not in repr(options)
    assert options.cookie_secret.reveal() not in repr(options)
    assert VALUE not in repr(asdict(options))


def test_only_reveal_gives_the_value_away_and_only_equal_secrets_match():
    secret = Secret(VALUE)

    assert secret.reveal() == VALUE
    assert secret.matches(VALUE)
    assert not secret.matches("correct horses")
    assert not secret.matches("\udcff")
    assert secret == Secret(VALUE) != Secret("other")
    assert secret != VALUE
    assert copy.deepcopy(secret) is copy.copy(secret) is secret
    assert len({secret, Secret(VALUE)}) == 1
    assert secret
    assert not Secret("")


def test_every_random_secret_is_another_one():
    assert len({Secret.random() for _ in range(100)}) == 100
