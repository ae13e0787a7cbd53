"""The embedded model's weights in the form that vLLM reads: `convert.py WEIGHTS.gguf FOLDER`.

Runs in the environment of vLLM, not in that of the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

from safetensors.torch import save_file  # type: ignore[import-not-found]
from transformers import AutoModelForCausalLM, AutoTokenizer  # type: ignore[import-not-found]


def convert(weights: Path, folder: Path) -> None:
    """Write configuration, tokenizer and dequantised weights."""
    AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name)
    # The weights are plain floats now; `save_pretrained` would still refuse them as GGUF.
    del model.config.quantization_config
    model.config.architectures = ["LlamaForCausalLM"]
    model.config.save_pretrained(folder)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
