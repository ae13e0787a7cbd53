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


def structured(prompt, properties, **more):
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in properties}}
    return {
        "name": "text",
        "column_type": "llm-structured",
        "prompt": prompt,
        "output_format": schema,
        **more,
    }


def turns(prompt):
    turn = {"type": "object", "properties": {"role": {"type": "string"}, "content": {"type": "string"}}}
    column = structured(prompt, ["turns"])
    column["output_format"]["properties"]["turns"] = {"type": "array", "items": {"$ref": "#/$defs/Turn"}}
    return {**column, "output_format": {**column["output_format"], "$defs": {"Turn": turn}}}


SCORES = [{"name": "correctness", "description": "是否正确", "options": {}}]


@pytest.mark.parametrize(
    ("rule", "column", "others"),
    [
        ("simulated_tool", text("写出返回的内容。{{ call }}", name="tool_result"), []),
        ("simulated_tool", text("Schreibe die Antwort.", name="apiResponse"), []),
        ("simulated_tool", structured("写出调用和结果", ["name", "arguments", "result"]), []),
        ("simulated_sql_result", text("Écris les lignes de {{ query }}.", name="query_result"), [QUERY]),
        ("simulated_execution", text("Was gibt {{ solution }} aus?", name="stdout"), [PROGRAM]),
        ("simulated_execution", structured("写出输出", ["code", "program_output"]), []),
        ("simulated_dialogue", turns("写一段客户和客服的对话"), []),
        ("simulated_dialogue", text("客户和客服。", name="conversation"), []),
        ("judge_of_difficulty", text("これはどのくらい難しいですか。", name="difficulty"), []),
        ("judge_of_difficulty", structured("出一道题", ["question", "difficulty_score"]), []),
        ("judge_of_code", judge("¿Es correcto? {{ program_code }}", scores=SCORES), []),
        ("judge_of_code", judge("对吗？{{ solution }}"), [PROGRAM]),
        ("judge_of_sql", judge("对吗？{{ sql_query }}", scores=SCORES), []),
    ],
)
def test_names_and_schemas_say_it_in_every_language(rule, column, others):
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
    text("写一个问题。", name="conversation_topic"),
    text("写一条消息。", name="user_message"),
    text("Resume {{ report }}.", name="test_plan"),
    text("写出工具的描述。", name="tool_description"),
    structured("出一道应用题", ["question", "solution", "answer", "result"]),
    structured("Schreibe eine Funktion.", ["name", "arguments", "docstring"]),
    judge("这首诗动人吗？{{ text }}", scores=[{"name": "tone", "description": "语气", "options": {}}]),
    judge(
        "这段代码可读吗？{{ solution }}",
        scores=[{"name": "readability", "description": "可读性", "options": {}}],
    ),
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
