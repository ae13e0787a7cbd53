"""A language model of `transformers` in this process, with exact ids and log-probabilities."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Self, TypeVar

from nemo_gym.models.policies.base import Policy, Sampled, Sampling, Tokenizer
from nemo_gym.models.policies.hf_rows import Row, Rows
from nemo_gym.models.policies.model import PolicyModel
from nemo_gym.wire.errors import UsageError, did_you_mean

T = TypeVar("T")
Weights = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""A `state_dict`, or its items."""


class HFPolicy(Policy):
    """Samples with a PyTorch model. Requests join the batch between two tokens, and so do new weights.

    A trainer may train the same model, as long as it does not wait for rollouts at the same time. The
    log-probabilities are those of the distribution that was sampled from; at temperature 0, those of 1.

    Args:
        model: a causal language model of `transformers`.
        tokenizer: its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self.model = model
        self.context = getattr(model.config, "max_position_embeddings", None)
        self.name = str(getattr(model.config, "name_or_path", "") or "hf")
        self._rows = Rows(model, self.end_ids)
        self._guard = threading.Lock()
        self._arrivals: list[Row] = []
        self._swaps: list[Callable[[], None]] = []
        self._running = False

    @classmethod
    def load(cls, path: Path | str, **options: Any) -> Self:
        """The model and the tokenizer of a folder or of a GGUF file, in 32-bit floats on the CPU; nothing is
        downloaded.

        Args:
            options: of `AutoModelForCausalLM.from_pretrained`, such as `dtype` or `device_map`.

        Raises:
            UsageError: there is no such folder or file, or a library is missing.
        """
        path = Path(path)
        if not path.exists():
            raise UsageError(f"{path}: there is no such model; expected a folder or a .gguf file")
        try:
            library: Any = import_module("transformers")
            torch: Any = import_module("torch")
        except ImportError as error:
            raise UsageError(f"HFPolicy needs {error.name}: pip install 'nemo-gym[hf]'") from None
        source = {"gguf_file": path.name} if path.is_file() else {}
        folder = path.parent if path.is_file() else path
        options = {"dtype": torch.float32, "local_files_only": True, **source, **options}
        try:
            tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True, **source)
            model: Any = library.AutoModelForCausalLM.from_pretrained(folder, **options)
        except (OSError, ValueError, ImportError) as error:
            raise UsageError(f"{path}: not a model that transformers can load: {_one_line(error)}") from None
        if source:
            _forget_quantisation(model)
        return cls(model, tokenizer)

    @property
    def end_ids(self) -> frozenset[int]:
        """The end token of the tokenizer, and those of the model's generation settings."""
        more = getattr(getattr(self.model, "generation_config", None), "eos_token_id", None)
        return super().end_ids | frozenset({more} if isinstance(more, int) else more or ())

    async def sample(self, prompt: list[int], sampling: Sampling) -> Sampled:
        answer: asyncio.Future[Sampled] = asyncio.get_running_loop().create_future()
        row = Row(prompt, sampling, partial(_settle, answer))
        self._give(row)
        try:
            return await answer
        finally:
            row.cancelled = True

    async def update(self, weights: Weights, version: int) -> None:
        """Take new weights between two tokens; rollouts in flight go on with them.

        The new tensors are made ready before and exchanged at once, so no request waits for a copy.

        Args:
            weights: all weights of the model or some of them, by the names of its `state_dict`.

        Raises:
            UsageError: a name or a shape is wrong.
        """
        ready = await asyncio.to_thread(self._ready_weights, weights)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def swap() -> None:
            for old, new in ready:
                old.data = new
            self.version = version
            _settle(done, None)

        self._give(swap)
        await done

    def _ready_weights(self, weights: Weights) -> list[tuple[Any, Any]]:
        torch: Any = import_module("torch")
        mine = {
            **dict(self.model.named_parameters(remove_duplicate=False)),
            **dict(self.model.named_buffers()),
        }
        ready: list[tuple[Any, Any]] = []
        for name, value in dict(weights).items():
            old = mine.get(name)
            if old is None:
                raise UsageError(
                    f"update: the model has no weights {name!r}.{did_you_mean(name, list(mine))}"
                )
            if old.shape != value.shape:
                shapes = f"{tuple(value.shape)} instead of {tuple(old.shape)}"
                raise UsageError(f"update: {name} has the shape {shapes}")
            new = torch.empty_like(old, requires_grad=False)
            ready.append((old, new.copy_(value.detach())))
        return ready

    def _give(self, work: Row | Callable[[], None]) -> None:
        """Queue a request or new weights for the thread, which ends when it has nothing to do."""
        with self._guard:
            if isinstance(work, Row):
                self._arrivals.append(work)
            else:
                self._swaps.append(work)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="hf-policy", daemon=True).start()

    def _run(self) -> None:
        was_training = self.model.training
        self.model.eval()
        ended: list[Row] = []
        while True:
            with self._guard:
                swaps, self._swaps = self._swaps, []
                arrivals = self._take()
                more = self._running = bool(swaps or arrivals or self._rows)
                if not more:
                    # Before the last answers are given: a trainer may go on with the model at once.
                    self.model.train(was_training)
            for row in ended:
                row.deliver(row.sampled(ended=bool(row.ids) and row.ids[-1] in self.end_ids))
            if not more:
                return
            for swap in swaps:
                swap()
            ended = self._advance(arrivals)

    def _take(self) -> list[Row]:
        """The requests that join now."""
        waiting = [row for row in self._arrivals if not row.cancelled]
        room = self.max_batch - len(self._rows) if self._rows.can_join else 0
        self._arrivals = waiting[room:]
        return waiting[:room]

    def _advance(self, arrivals: list[Row]) -> list[Row]:
        """One more token for every row; the rows that have ended."""
        torch: Any = import_module("torch")
        ended: list[Row] = []
        try:
            with torch.no_grad():
                if self._rows:
                    ended += self._rows.step(self.version)
                if arrivals:
                    ended += self._rows.join(arrivals, self.version)
        except Exception as error:  # the requests in flight fail, and the next ones may work
            for row in {id(row): row for row in [*self._rows.clear(), *arrivals]}.values():
                row.deliver(error)
        return ended


class HFModel(PolicyModel):
    """The model type `hf`: a folder or a GGUF file, on a GPU if there is one.

    Args:
        path: of the folder or the file.
    """

    def __init__(self, path: str) -> None:
        policy = HFPolicy.load(path)
        torch: Any = import_module("torch")
        if torch.cuda.is_available():
            policy.model.to("cuda")
        policy.name = Path(path).stem
        super().__init__(policy)


def _settle(future: asyncio.Future[T], result: T | BaseException) -> None:
    """Give a future its result from another thread."""
    loop = future.get_loop()

    def settle() -> None:
        if future.done():
            return
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)


def _forget_quantisation(model: Any) -> None:
    """Let a model from a GGUF file be trained and saved: its weights are plain floats now."""
    model.is_quantized, model.hf_quantizer = False, None
    for name in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, name):
            delattr(model.config, name)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or repr(error)
