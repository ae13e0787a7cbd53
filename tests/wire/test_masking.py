from __future__ import annotations

import base64
import html
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pydantic
import pytest
from config.trees import trees
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.masking import (
    MASK,
    SecretText,
    forget_secrets,
    is_secret,
    mask,
    remember_secret_keys,
    remember_secret_settings,
    remember_secrets,
    remembered_secrets,
    without_secrets,
)


@pytest.mark.parametrize(
    "key",
    [
        "policy_api_key",
        "hf_token",
        "openaiApiKey",
        "key",
        "password",
        "db_passwd",
        "client_secret",
        "credentials",
        "Authorization",
        "x-api-key",
        "AUTH_TOKEN",
        "apikey",
        "cookie_secret",
        "private_key",
    ],
)
def test_a_secret_is_masked_by_its_key(key: str) -> None:
    assert is_secret(key)
    assert mask({"block": [{key: "hunter2!"}]}) == {"block": [{key: MASK}]}


@pytest.mark.parametrize("key", ["tokenizer", "monkey", "keyboard", "name", "author", "passes"])
def test_another_key_is_shown(key: str) -> None:
    assert mask({key: "shown"}) == {key: "shown"}


def test_numbers_and_blocks_under_a_weak_word_are_shown() -> None:
    tree: dict[str, Any] = {
        "max_tokens": 512,
        "use_token": True,
        "token_id_capture": {"dir": "x"},
        "api_key": None,
    }
    assert mask(tree) == tree


def test_everything_under_a_strong_word_is_masked() -> None:
    assert mask({"credentials": {"user": "me", "pin": 1234, "list": ["a"]}}) == {
        "credentials": {"user": MASK, "pin": MASK, "list": [MASK]}
    }
    assert mask({"api_keys": ["a", "b"]}) == {"api_keys": [MASK, MASK]}


def test_a_secret_is_masked_wherever_it_stands() -> None:
    shown = mask({"policy_api_key": "sk-12345678", "args": ["--header", "X: Bearer sk-12345678!"]})
    assert shown["args"] == ["--header", f"X: Bearer {MASK}!"]


def test_the_user_and_password_of_a_url_are_masked() -> None:
    assert mask({"url": "http://me:pw@host:1/v1"}) == {"url": f"http://{MASK}@host:1/v1"}


@given(trees(), st.text(alphabet="qwertz", min_size=6, max_size=9))
def test_no_secret_is_left_anywhere(tree: dict[str, Any], secret: str) -> None:
    whole = {"here": tree, "api_key": secret, "there": [f"a{secret}b", {"x": secret}]}
    assert secret not in json.dumps(mask(whole))


@given(trees())
def test_masking_changes_no_shape(tree: dict[str, Any]) -> None:
    def shape(node: Any) -> Any:
        match node:
            case dict():
                return {key: shape(value) for key, value in node.items()}
            case list():
                return [shape(value) for value in node]
            case _:
                return None

    assert shape(mask(tree)) == shape(tree)


def test_a_remembered_text_is_masked_whatever_its_key_is_called() -> None:
    remember_secrets(["hunter2hunter2", "4711", ""])
    tree: dict[str, Any] = {
        "note": "hunter2hunter2",
        "list": ["Bearer hunter2hunter2"],
        "pin": 4711,
        "n": 47110,
    }
    assert mask(tree) == {"note": MASK, "list": [f"Bearer {MASK}"], "pin": MASK, "n": 47110}
    assert without_secrets("no hunter2hunter2 here") == f"no {MASK} here"
    assert without_secrets("4711\n") == f"{MASK}\n"
    assert without_secrets("port 47110") == "port 47110"


SECRET = 'p+w/d=="q$x[a]\\ü' + "'&é"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps({"k": SECRET}),
        json.dumps({"k": SECRET}, ensure_ascii=False),
        repr(ValueError(SECRET)),
        f"http://h/?key={quote(SECRET, safe='')}",
        f"http://h/?key={quote_plus(SECRET)}",
        f"<b>{html.escape(SECRET)}</b>",
        base64.b64encode(SECRET.encode()).decode(),
        *(
            f"Basic {base64.b64encode(f'{user}:{SECRET}'.encode()).decode()}"
            for user in ("", "a", "me", "you")
        ),
        base64.urlsafe_b64encode(f"me:{SECRET}".encode()).decode(),
        SECRET.encode().hex(),
    ],
)
def test_a_secret_is_masked_however_it_is_written(written: str) -> None:
    remember_secrets([SECRET])
    for shown in (without_secrets(f"error: {written}"), mask({"text": written})["text"]):
        assert MASK in shown
        assert "p+w" not in shown
        assert len(re.sub(r"\W", "", shown.replace(MASK, ""))) < 25


def test_each_line_of_a_secret_is_masked_alone() -> None:
    key = "-----BEGIN KEY-----\nMIIBabcdefghijkl\r\n  QRSTUVWXYZ012345\n-----END KEY-----"
    remember_secrets([key])
    for line in key.splitlines():
        assert MASK in without_secrets(f"| {line.strip()} |")


def test_what_stands_behind_the_scheme_of_a_header_is_a_secret_of_its_own() -> None:
    remember_secret_keys({"headers": {"Authorization": "Bearer sk-12345678", "X-Plain": "plain-text"}})
    assert without_secrets("wrong key sk-12345678, plain-text") == f"wrong key {MASK}, plain-text"


@pytest.mark.parametrize("text", ["1", "12", "0.5", "true", "False", "null", "on", "", "  "])
def test_a_setting_is_no_secret(text: str) -> None:
    remember_secrets([text])
    tree: dict[str, Any] = {"a": text, "b": [text]}
    assert mask(tree) == tree
    assert without_secrets(f"{text}\n") == f"{text}\n"


def test_a_word_is_masked_as_a_whole_word_only() -> None:
    remember_secrets(["openai"])
    assert (
        without_secrets("openai: openai_model, openais, (openai)")
        == f"{MASK}: openai_model, openais, ({MASK})"
    )


def test_another_process_gets_the_secrets_and_not_their_forms() -> None:
    remember_secrets(["a secret", "1"])
    assert remembered_secrets() == ["a secret"]


def test_a_forgotten_text_is_shown() -> None:
    remember_secrets(["hunter2hunter2"])
    forget_secrets()
    assert mask({"note": "hunter2hunter2"}) == {"note": "hunter2hunter2"}


def test_a_setting_of_a_secret_type_is_masked_whatever_it_is_called() -> None:
    class Settings(msgspec.Struct):
        note: SecretText = ""
        other: SecretText | None = None
        plain: str = ""

    class Model(pydantic.BaseModel):
        remark: pydantic.SecretStr

    remember_secret_settings(Settings(note="first-secret", other="second-secret", plain="plain-text"))
    remember_secret_settings(Model(remark=pydantic.SecretStr("third-secret")))
    shown = mask({"a": "first-secret", "b": "second-secret", "c": "third-secret", "d": "plain-text"})
    assert shown == {"a": MASK, "b": MASK, "c": MASK, "d": "plain-text"}
