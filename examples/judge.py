"""An environment with a judge: `gym run examples/judge.py --judge-model-url URL --judge-model NAME`."""

from collections.abc import Iterable

from nemo_gym import Environment, Golden, Response, Reward, Session, Task, ask

GOOD, BAD = "An owl watches / over the sleeping meadow: / not one mouse stirs now.", "Owls are birds."
PROMPT = "Is this a poem about {topic}? Answer with yes or no, and nothing else.\n\n{poem}"


class Poems(Environment):
    """Write a short poem on a topic; a judge says whether it is one."""

    asks = ("judge",)
    stateless = True

    class Task(Task):
        topic: str

    def tasks(self, split: str, seed: int, n: int | None) -> list[Task]:
        topics = ("owls", "rain", "a lighthouse", "bread")
        return [
            self.Task(responses_create_params=ask(f"Write a short poem about {topic}."), topic=topic)
            for topic in topics
        ]

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        prompt = PROMPT.format(topic=task.topic, poem=response.final_text[:10_000])
        verdict = await self.models["judge"].text(prompt, temperature=0.0, max_output_tokens=1000)
        return Reward(float(verdict.lower().strip(".") == "yes"), details={"verdict": verdict})

    def golden(self) -> Iterable[Golden]:
        task = {"responses_create_params": ask("Write a short poem about owls."), "topic": "owls"}
        return [
            *super().golden(),
            Golden(name="poem", kind="full_reward", task=task, output=GOOD, models={"judge": "Yes."}),
            Golden(name="prose", kind="zero_reward", task=task, output=BAD, models={"judge": "no"}),
            Golden(name="unclear", kind="malformed", task=task, output="", models={"judge": "Hard to say"}),
        ]
