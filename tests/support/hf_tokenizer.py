"""A tokenizer of `transformers` with one token for each character, and for the tags of ChatML."""

from __future__ import annotations

from typing import TypeVar

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

T = TypeVar("T", bound=PreTrainedTokenizerFast)
TAGS = ["<|pad|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
TEMPLATE = """
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] -%}
<tool_call>{{ call.function | tojson }}</tool_call>
{%- endfor -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""


def chat_tokenizer(kind: type[T] = PreTrainedTokenizerFast) -> T:
    """The tokenizer, an object of `kind`; its end of sequence is `<|im_end|>`."""
    chars = [chr(code) for code in range(32, 127)] + ["\n"]
    vocabulary = {token: number for number, token in enumerate([*TAGS, *chars])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token=" "))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = kind(tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": TAGS[1:2] + TAGS[3:]})
    tokenizer.chat_template = TEMPLATE
    return tokenizer
