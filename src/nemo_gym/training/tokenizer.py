"""The text of token ids, by the tokenizer of a model on disk."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from nemo_gym.training.token_check import Decode
from nemo_gym.wire.errors import UsageError


def load_decode(path: Path) -> Decode:
    """The decoding of a `tokenizer.json`, or of the one in a model's folder. Special tokens keep their text.

    Raises:
        UsageError: there is no such file, it is not a tokenizer, or the library is missing.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(
            f"{file}: there is no such file; expected a tokenizer.json, or the folder of a model"
        )
    try:
        library: Any = import_module("tokenizers")
    except ImportError:
        raise UsageError("--tokenizer needs a library: pip install 'nemo-gym[training]'") from None
    try:
        tokenizer: Any = library.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare exceptions
        raise UsageError(
            f"{file}: not a tokenizer.json; expected one, or the folder of a model: {error}"
        ) from None
    return lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=False))
