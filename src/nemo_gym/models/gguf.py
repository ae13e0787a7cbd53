"""Converts a GGUF weight file from Q4_1 to Q8_0, which llama.cpp multiplies faster. The answers stay as good.
(Q4_0 is even faster, but a model of this size gives only half as many right answers with it.)

It runs as a module (`python -m nemo_gym.models.gguf SOURCE TARGET`), so that only that process imports numpy.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gguf
from gguf.quants import dequantize, quantize

_Q4_1, _Q8_0 = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0


def requantise(source: Path, target: Path) -> None:
    """Write `source` to `target` with every Q4_1 tensor as Q8_0; all else keeps its value.

    Raises:
        OSError: a file can't be read or written.
        ValueError: `source` is not a GGUF file.
    """
    reader: Any = gguf.GGUFReader(source)
    writer: Any = gguf.GGUFWriter(target, reader.fields[gguf.Keys.General.ARCHITECTURE].contents())
    for name, field in reader.fields.items():
        if name == gguf.Keys.General.ARCHITECTURE or name.startswith("GGUF."):  # the writer's own
            continue
        value = field.contents()
        if name == gguf.Keys.General.FILE_TYPE:
            value = int(gguf.LlamaFileType.MOSTLY_Q8_0)
        writer.add_key_value(name, value, field.types[0], sub_type=field.types[-1])
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if kind == _Q4_1:
            data, kind = quantize(dequantize(data, _Q4_1), _Q8_0), _Q8_0
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    requantise(Path(sys.argv[1]), Path(sys.argv[2]))
