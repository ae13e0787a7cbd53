"""A policy in this process: a language model of `transformers`, with exact ids and log-probabilities."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from nemo_gym.models.policies.base import Policy, Sampled, Sampling, Tokenizer
from nemo_gym.wire.errors import UsageError


class HFPolicy(Policy):
    """Samples with a PyTorch model, which a trainer may train at the same time of turns.

    Args:
        model: a causal language model of `transformers`.
        tokenizer: its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self.model = model
        self.context = getattr(model.config, "max_position_embeddings", None)
        self.name = str(getattr(model.config, "name_or_path", "") or "hf")
        self._torch: Any = import_module("torch")
        self._lock = threading.Lock()

    @classmethod
    def load(cls, path: Path | str, **options: Any) -> Self:
        """The model and the tokenizer of a folder or of a GGUF file, in 32-bit floats; nothing is downloaded.

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
        tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True, **source)
        model: Any = library.AutoModelForCausalLM.from_pretrained(folder, **options)
        if source:
            _forget_quantisation(model)
        return cls(model, tokenizer)

    async def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        return await asyncio.to_thread(self._generate, prompts, sampling)

    async def update(self, weights: Mapping[str, Any], version: int) -> None:
        """Take the tensors of a `state_dict`, between two batches. Those that it lacks stay: trainers send
        neither buffers nor the second name of tied weights.

        Raises:
            UsageError: the model has no such tensor.
        """
        await asyncio.to_thread(self._load, weights, version)

    def _load(self, weights: Mapping[str, Any], version: int) -> None:
        with self._lock:
            unknown = weights.keys() - self.model.state_dict().keys()
            if unknown:
                raise UsageError(f"the weights have {min(unknown)!r}, which {self.name} has not")
            self.model.load_state_dict(weights, strict=False)
            self.version = version

    def _generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        torch, longest = self._torch, max(map(len, prompts))
        end = min(self.end_ids)
        padded = [[end] * (longest - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        device = self.model.device
        with self._lock, torch.no_grad():
            was_training, version = self.model.training, self.version
            self.model.eval()
            try:
                output = self.model.generate(
                    input_ids=torch.tensor(padded, device=device),
                    attention_mask=torch.tensor(mask, device=device),
                    max_new_tokens=sampling.max_tokens,
                    eos_token_id=sorted(self.end_ids),
                    pad_token_id=end,
                    return_dict_in_generate=True,
                    output_logits=True,
                    **_sampling_options(sampling),
                )
            finally:
                self.model.train(was_training)
            ids = output.sequences[:, longest:]
            logits = torch.stack(output.logits, dim=1).float() / (sampling.temperature or 1.0)
            logprobs = torch.log_softmax(logits, -1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)
        pairs = zip(ids.tolist(), logprobs.tolist(), strict=True)
        return [self._sampled(row, values, version) for row, values in pairs]

    def _sampled(self, ids: list[int], logprobs: list[float], version: int) -> Sampled:
        ends = self.end_ids
        count = next((place + 1 for place, token in enumerate(ids) if token in ends), len(ids))
        values = [min(value, 0.0) for value in logprobs[:count]]
        ended = bool(count) and ids[count - 1] in ends
        return Sampled(ids=ids[:count], logprobs=values, ended=ended, version=version)


def _forget_quantisation(model: Any) -> None:
    """Let a model from a GGUF file be trained and saved: its weights are plain floats now."""
    model.is_quantized, model.hf_quantizer = False, None
    for name in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, name):
            delattr(model.config, name)


def _sampling_options(sampling: Sampling) -> dict[str, Any]:
    if sampling.temperature <= 0:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
