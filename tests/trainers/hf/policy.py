"""The model of `transformers` in this process, on a tiny random model: `make test-trainers-hf`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from nemo_gym.models.policies import Sampled, Sampling
from nemo_gym.models.policies.hf import HFPolicy
from nemo_gym.models.policies.hf_rows import Row
from nemo_gym.models.registry import build_model
from nemo_gym.wire.errors import UsageError

pytestmark = pytest.mark.filterwarnings("default")  # those of the libraries are theirs
END = 1


class Tokens:
    eos_token_id = END


def random_model(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, pad_token_id=0, eos_token_id=END,
        bos_token_id=None, initializer_range=0.5,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def policy(seed: int = 0) -> HFPolicy:
    return HFPolicy(random_model(seed), Tokens())  # type: ignore[arg-type]


def distributions(model: Any, prompt: Sequence[int], ids: Sequence[int], heat: float = 1.0) -> Any:
    """The log-probabilities at each sampled place, computed without a cache: [n, vocabulary]."""
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1].float()
    return torch.log_softmax(logits / heat, -1)


def difference(model: Any, prompt: Sequence[int], sampled: Sampled, heat: float = 1.0) -> float:
    again = distributions(model, prompt, sampled.ids, heat).gather(
        -1, torch.tensor(sampled.ids).unsqueeze(-1)
    )
    return float((again.squeeze(-1) - torch.tensor(sampled.logprobs)).abs().max())


prompts = st.lists(st.lists(st.integers(2, 63), min_size=1, max_size=30), min_size=1, max_size=9)


@given(prompts=prompts, common=st.lists(st.integers(2, 63), max_size=20), most=st.integers(1, 12))
def test_rows_that_share_a_batch_have_the_log_probabilities_of_each_alone(
    prompts: list[list[int]], common: list[int], most: int
) -> None:
    engine = policy()
    asked = [[*common, *prompt] for prompt in prompts]

    async def ask_all() -> list[Sampled]:
        first = [
            asyncio.create_task(engine.sample(one, Sampling(max_tokens=most, seed=1))) for one in asked[:4]
        ]
        await asyncio.sleep(0)
        rest = [
            asyncio.create_task(engine.sample(one, Sampling(0.5, 1.0, most, seed=2))) for one in asked[4:]
        ]
        return await asyncio.gather(*first, *rest)

    answers = asyncio.run(ask_all())

    for place, (prompt, answer) in enumerate(zip(asked, answers, strict=True)):
        assert difference(engine.model, prompt, answer, 1.0 if place < 4 else 0.5) < 1e-4
        assert answer.ended == (answer.ids[-1] == END)
        assert answer.ended or len(answer.ids) == most
        assert END not in answer.ids[:-1]


async def test_the_same_seed_gives_the_same_answer_in_any_company() -> None:
    engine = policy()
    sampling = Sampling(max_tokens=20, seed=7)
    alone = await engine.sample([5, 6, 7], sampling)

    others = [engine.sample([place + 2] * (place + 1), Sampling(max_tokens=20)) for place in range(8)]
    together, *_ = await asyncio.gather(engine.sample([5, 6, 7], sampling), *others)

    assert together.ids == alone.ids
    assert together.logprobs == pytest.approx(alone.logprobs, abs=1e-5)


async def test_a_temperature_of_0_takes_the_likeliest_token() -> None:
    engine = policy()
    answer = await engine.sample([9, 8, 7], Sampling(temperature=0, max_tokens=16))

    assert list(answer.ids) == distributions(engine.model, [9, 8, 7], answer.ids).argmax(-1).tolist()


async def test_top_p_samples_from_the_nucleus_with_its_own_log_probabilities() -> None:
    engine = policy()
    answers = await asyncio.gather(
        *(engine.sample([4, 5], Sampling(top_p=0.4, max_tokens=1, seed=seed)) for seed in range(200))
    )

    whole = distributions(engine.model, [4, 5], [0])[0].exp()
    ordered, order = whole.sort(descending=True)
    count = int((ordered.cumsum(0) - ordered < 0.4).sum())
    nucleus, mass = set(order[:count].tolist()), float(ordered[:count].sum())
    assert {answer.ids[0] for answer in answers} <= nucleus
    for answer in answers:
        expected = float(whole[answer.ids[0]]) / mass
        assert answer.logprobs[0] == pytest.approx(float(torch.tensor(expected).log()), abs=1e-4)


async def test_sampled_tokens_have_the_frequencies_of_the_model() -> None:
    engine = policy()
    engine.max_batch = 1000
    count = 4000
    answers = await asyncio.gather(
        *(engine.sample([4, 5], Sampling(max_tokens=1, seed=seed)) for seed in range(count))
    )

    seen = torch.bincount(torch.tensor([answer.ids[0] for answer in answers]), minlength=64) / count
    assert float((seen - distributions(engine.model, [4, 5], [0])[0].exp()).abs().max()) < 0.03


async def test_new_weights_arrive_between_two_tokens_and_each_token_knows_its_version() -> None:
    engine, later = policy(), random_model(1)
    engine.model.generation_config.eos_token_id = None
    engine.tokenizer.eos_token_id = -1
    engine._rows._end_ids = frozenset()
    answer = asyncio.create_task(engine.sample([5, 6], Sampling(max_tokens=250, seed=1)))
    while not any(len(row.ids) > 3 for row in engine._rows._rows):
        await asyncio.sleep(0)
    await engine.update(later.state_dict(), 3)
    sampled = await answer

    versions = list(sampled.version)  # type: ignore[arg-type]
    assert versions == sorted(versions)
    assert set(versions) == {0, 3}
    assert difference(later, [5, 6], await engine.sample([5, 6], Sampling(max_tokens=9))) < 1e-4


async def test_weights_that_do_not_fit_change_nothing() -> None:
    engine = policy()
    before = {name: value.clone() for name, value in engine.model.state_dict().items()}
    with pytest.raises(UsageError, match=r"no weights 'lm_head.weigth'. Did you mean 'lm_head.weight'"):
        await engine.update({"lm_head.weigth": torch.zeros(64, 32)}, 1)
    with pytest.raises(UsageError, match=r"lm_head.weight has the shape \(2, 2\) instead of \(64, 32\)"):
        await engine.update(
            [("model.norm.weight", torch.zeros(32)), ("lm_head.weight", torch.zeros(2, 2))], 1
        )

    assert engine.version == 0
    assert all(torch.equal(value, before[name]) for name, value in engine.model.state_dict().items())


async def test_a_cancelled_request_leaves_the_batch() -> None:
    engine = policy()
    engine._rows._end_ids = frozenset()
    tasks = [asyncio.create_task(engine.sample([5, 6], Sampling(max_tokens=250))) for _ in range(4)]
    while len(engine._rows) < 4:
        await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.gather(*tasks[1:])

    assert tasks[0].cancelled()
    assert not len(engine._rows)


async def test_a_failed_batch_fails_its_requests_and_no_later_one() -> None:
    engine = policy()
    with pytest.raises(IndexError):
        await engine.sample([64], Sampling(max_tokens=2))

    assert len((await engine.sample([5], Sampling(temperature=0, max_tokens=1))).ids) == 1


def test_an_answer_that_ends_beside_a_prompt_that_fails_is_given() -> None:
    engine = policy()
    errors: list[Any] = []
    ending = Row([5], Sampling(max_tokens=2), errors.append)
    engine._rows._end_ids = frozenset()
    with torch.no_grad():
        assert engine._rows.join([ending], 0) == []

    assert engine._advance([Row([64], Sampling(max_tokens=2), errors.append)]) == [ending]
    assert [type(error) for error in errors] == [IndexError]
    assert len(ending.ids) == 2


def test_a_model_of_another_layout_gets_its_rows_one_batch_after_the_other() -> None:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=256, sliding_window=8, eos_token_id=END,
        layer_types=["sliding_attention", "full_attention"],
    )  # fmt: skip
    engine = HFPolicy(Gemma3ForCausalLM(config).eval(), Tokens())  # type: ignore[arg-type]
    asked = [[place + 2] * (3 * place + 1) for place in range(6)]

    async def ask_all() -> list[Sampled]:
        return await asyncio.gather(*(engine.sample(one, Sampling(max_tokens=14)) for one in asked))

    for prompt, answer in zip(asked, asyncio.run(ask_all()), strict=True):
        assert difference(engine.model, prompt, answer) < 1e-3


async def test_training_goes_on_in_training_mode() -> None:
    engine = policy()
    engine.model.train()
    await engine.sample([5, 6], Sampling(max_tokens=3))

    assert engine.model.training


def test_the_model_type_needs_a_folder_of_weights(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such model"):
        build_model("hf", name=str(tmp_path / "none"))
    with pytest.raises(UsageError, match="not a model that transformers can load"):
        build_model("hf", name=str(tmp_path))
