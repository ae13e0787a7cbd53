"""Columns that only simulate what an environment executes."""

import pytest

from nemo_gym.environments.discovery import find_environment
from nemo_gym.siblings.data_designer.advise import RULES, advise
from nemo_gym.siblings.data_designer.config import load_config, write_yaml

PROGRAM = {
    "name": "solution",
    "column_type": "llm-code",
    "code_lang": "python",
    "prompt": "Solve {{ task }}.",
}
QUERY = {
    "name": "query",
    "column_type": "llm-code",
    "code_lang": "sql:sqlite",
    "prompt": "Query for {{ task }}.",
}


def judge(prompt, **more):
    return {"name": "judge", "column_type": "llm-judge", "prompt": prompt, "scores": [], **more}


def text(prompt, **more):
    return {"name": "text", "column_type": "llm-text", "prompt": prompt, **more}


def rules(*columns):
    return [(one.column, one.rule) for one in advise({"data_designer": {"columns": list(columns)}})]


@pytest.mark.parametrize(
    ("rule", "column", "others"),
    [
        ("judge_of_code", judge("Score {{ solution }}."), [PROGRAM]),
        ("judge_of_code", judge("Is this Python function correct? {{ text }}"), []),
        (
            "judge_of_code",
            judge(
                "{{ text }}",
                scores=[{"name": "correctness", "description": "The code passes", "options": {}}],
            ),
            [],
        ),
        ("judge_of_sql", judge("Is {{ query }} right?"), [QUERY]),
        ("judge_of_sql", judge("Does the SQL answer the question? {{ text }}"), []),
        ("judge_of_math", judge("Is the final answer of this math problem correct? {{ text }}"), []),
        ("judge_of_instructions", judge("Does the text have exactly 3 bullet points? {{ text }}"), []),
        ("judge_of_schema", judge("Is this valid JSON for the schema? {{ text }}"), []),
        ("judge_of_difficulty", judge("Rate the difficulty of {{ text }} from 1 to 5."), []),
        ("judge_of_difficulty", text("Estimate how hard this task is for a model: {{ task }}"), []),
        ("simulated_tool", text("You are a weather API. Write the API response for {{ city }}."), []),
        ("simulated_tool", text("Act as a Linux terminal and answer {{ command }}."), []),
        (
            "simulated_tool",
            {**text("Write the result of the tool for {{ x }}."), "column_type": "llm-structured"},
            [],
        ),
        ("simulated_sql_result", text("Write the result of the query {{ query }}."), [QUERY]),
        (
            "simulated_execution",
            text("What does this print? The output of the program: {{ solution }}"),
            [PROGRAM],
        ),
        (
            "simulated_dialogue",
            text("Write a conversation between a customer and a support agent about {{ x }}."),
            [],
        ),
        (
            "lint_only",
            {
                "name": "check",
                "column_type": "validation",
                "validator_type": "code",
                "target_columns": ["solution"],
            },
            [PROGRAM],
        ),
    ],
)
def test_a_column_that_simulates_is_named_with_its_rule(rule, column, others):
    assert rules(*others, column) == [(column["name"], rule)]


PLAIN = [
    {
        "name": "difficulty",
        "column_type": "sampler",
        "sampler_type": "category",
        "params": {"values": ["easy", "hard"]},
    },
    {"name": "task", "column_type": "expression", "expr": "{{ difficulty }} sql query"},
    PROGRAM,
    QUERY,
    text("Write a {{ difficulty }} word problem about {{ topic }} with a numeric answer."),
    text("Write a question about a database that one SQL query answers, for {{ tables }}."),
    text("Explain why the solution {{ solution }} works, for a beginner in Python."),
    text("Write the text of an email from a customer to a support agent about {{ product }}."),
    text("Write a request to an assistant that has these tools: {{ tools }}."),
    text("Call the weather tool and report its result.", tool_alias="weather"),
    text("Describe an API that a bank could offer, and the parameters of each endpoint."),
    text("Write a programming task. Describe the input and the output of the function, with Python types."),
    text("Write a question about {{ tables }} whose query results are not empty."),
    text("Write documentation for a payment API, and explain when the API response is an error."),
    text("Write a user's message that asks for the result of a football match."),
    text("Write a system prompt for an assistant with a policy of {{ company }}."),
    text("Write a short story with a difficult decision that the hero must judge."),
    judge("Is this poem moving, and is its tone fitting? {{ text }}"),
    judge("How helpful and polite is this answer? {{ text }}"),
    judge("Is the story consistent with the character {{ person }}?"),
    {"name": "check", "column_type": "validation", "validator_type": "remote", "target_columns": ["text"]},
    {"name": "vector", "column_type": "embedding", "target_column": "text"},
]


@pytest.mark.parametrize("column", PLAIN, ids=lambda column: str(column.get("prompt", column["name"]))[:40])
def test_a_plain_column_raises_no_alarm(column):
    others = [one for one in (PROGRAM, QUERY) if one is not column]

    assert (
        rules(
            column,
            *([] if column["column_type"] == "llm-text" and "{{ solution" in column["prompt"] else others),
        )
        == []
    )


@pytest.mark.parametrize("column", [PROGRAM, QUERY], ids=["program", "query"])
def test_a_judge_of_the_style_of_code_is_left_alone(column):
    prompt = f"How readable is {{{{ {column['name']} }}}}? Rate naming and comments."

    assert rules(column, judge(prompt)) == []


def test_a_judge_of_style_that_sees_no_code_is_left_alone_beside_code():
    assert rules(PROGRAM, judge("Is the explanation {{ task }} friendly?")) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_says_why_and_how(rule):
    assert rule.reason
    assert "gym " in rule.command


@pytest.mark.parametrize(
    "name",
    [
        "sql",
        "code_gen",
        "structured_outputs",
        "instruction_following",
        "math_with_judge",
        "tau2",
        "workplace_assistant",
    ],
)
def test_the_named_environments_exist(name):
    assert any(name in rule.environment for rule in RULES)
    assert find_environment(name)


def test_a_configuration_in_the_short_form_is_read_too(tmp_path):
    write_yaml(tmp_path / "config.yaml", {"columns": [PROGRAM, judge("Score {{ solution }}.")]})

    assert [one.rule for one in advise(load_config(tmp_path / "config.yaml"))] == ["judge_of_code"]
