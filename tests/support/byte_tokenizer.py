"""A chat tokenizer with a token for every byte, so that the text of token ids is exactly what is trained on,
and the texts of a rollout as its template writes them."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from nemo_gym.wire.rollout import Rollout
from tests.support.workplace_run import pieces, prompt_texts

TAGS = ["<|pad|>", "<|start|>", "<|end|>", "<|think|>", "<|say|>", "<|call|>"]
ANSWER = (
    "{%- if message.reasoning_content -%}<|think|>{{ message.reasoning_content }}{%- endif -%}"
    "{%- if message.content -%}<|say|>{{ message.content }}{%- endif -%}"
    "{%- for call in message.tool_calls or [] -%}"
    "<|call|>{{ call.function.name }}|{{ call.function.arguments }}|{{ call.id }}"
    "{%- endfor -%}<|end|>"
)
TEMPLATE = (
    "{%- if tools -%}<|start|>tools|"
    "{{ tools | map(attribute='function.name') | join(',') }}<|end|>{%- endif -%}"
    "{%- for message in messages -%}<|start|>{{ message.role }}|"
    "{%- if message.role == 'assistant' -%}{%- generation -%}ANSWER{%- endgeneration -%}"
    "{%- else -%}{{ message.content }}|{{ message.tool_call_id or '' }}<|end|>{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|start|>assistant|{%- endif -%}"
).replace("ANSWER", ANSWER)


def tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({token: number for number, token in enumerate([*TAGS, *alphabet])}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|end|>")
    fast.add_special_tokens({"additional_special_tokens": [TAGS[1], *TAGS[3:]]})
    fast.chat_template = TEMPLATE
    return fast


def answers(rollout: Rollout) -> list[str]:
    """Every answer of the model as the template writes it, straight from the rollout."""
    out = [""]
    for kind, *texts in pieces(rollout):
        if kind == "result":
            out += [""] if out[-1] else []
        else:
            out[-1] += f"<|{kind}|>{'|'.join(texts)}"
    return [f"{answer}<|end|>" for answer in out]


def whole_text(rollout: Rollout) -> str:
    """The conversation as the template writes it, straight from the rollout."""
    names = [tool["name"] for tool in rollout.row["responses_create_params"]["tools"]]
    text = f"<|start|>tools|{','.join(names)}<|end|>"
    text += "".join(f"<|start|>{role}|{words}|<|end|>" for role, words in prompt_texts(rollout))
    rest = iter(answers(rollout))
    before = "result"
    for kind, *texts in pieces(rollout):
        if kind == "result":
            text += f"<|start|>tool|{'|'.join(texts)}<|end|>"
        elif before == "result":
            text += f"<|start|>assistant|{next(rest)}"
        before = kind
    return text
