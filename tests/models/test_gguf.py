"""The converted weights are those of the source: only Q4_1 tensors change, to Q8_0 of the same values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

KIND = gguf.GGMLQuantizationType


def test_q4_1_becomes_q8_0_and_all_else_stays(tmp_path: Path) -> None:
    weights = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)
    norm = np.arange(8, dtype=np.float32)
    source, target = tmp_path / "source.gguf", tmp_path / "target.gguf"
    writer: Any = gguf.GGUFWriter(source, "llama")
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_Q4_1))
    writer.add_array("tokenizer.ggml.tokens", ["é", "two", ""])
    writer.add_float32("llama.rope.freq_base", 1e4)
    writer.add_tensor("weights", quantize(weights, KIND.Q4_1), raw_dtype=KIND.Q4_1)
    writer.add_tensor("norm", norm)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    subprocess.run([sys.executable, "-P", "-m", "nemo_gym.models.gguf", source, target], check=True)

    before, after = gguf.GGUFReader(source), gguf.GGUFReader(target)
    changed = {
        name for name, field in before.fields.items() if field.contents() != after.fields[name].contents()
    }
    assert changed == {"general.file_type"}
    assert after.fields["general.file_type"].contents() == int(gguf.LlamaFileType.MOSTLY_Q8_0)
    q4, q8 = (reader.tensors[0] for reader in (before, after))
    assert (q8.name, q8.tensor_type) == ("weights", KIND.Q8_0)
    assert np.allclose(dequantize(q8.data, KIND.Q8_0), dequantize(q4.data, KIND.Q4_1), atol=1 / 127)
    assert (after.tensors[1].name, after.tensors[1].data.tolist()) == ("norm", norm.tolist())
