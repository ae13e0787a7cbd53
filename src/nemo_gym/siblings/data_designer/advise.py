"""`advise`: which columns of a configuration only simulate what an environment here executes.

Data Designer writes tasks: samplers, texts, structured data. An environment executes: programs run, queries
meet a database, tools change a state, rollouts measure a difficulty. A column that asks a model to guess the
result of one of these is found by its type, the columns it refers to, its name and the names in its schema,
whatever the language of its prompt, and by the words of an English prompt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import msgspec

Column: TypeAlias = dict[str, Any]


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One column that simulates."""

    column: str
    rule: str
    """The name of the rule."""
    simulates: str
    """What the column does now."""
    reason: str
    """Why the real thing is better."""
    environment: str
    """The environment that executes it."""
    command: str
    """How to switch over."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A way in which a column can simulate."""

    name: str
    simulates: str
    reason: str
    environment: str
    command: str
    applies: Callable[[Column, Mapping[str, Column]], bool]


def advise(config: dict[str, Any]) -> list[Advice]:
    """The columns of a configuration that simulate, in their order, each with the first rule that applies.

    Args:
        config: in the full form, `{data_designer: {columns, ...}}`.
    """
    columns = cast("list[Column]", config["data_designer"]["columns"])
    by_name = {str(column.get("name")): column for column in columns}
    return [
        Advice(
            column=str(column.get("name")),
            rule=rule.name,
            simulates=rule.simulates,
            reason=rule.reason,
            environment=rule.environment,
            command=rule.command,
        )
        for column in columns
        if (rule := next((rule for rule in RULES if rule.applies(column, by_name)), None)) is not None
    ]


def _text(column: Column) -> str:
    """What the column says to its model: prompts, and for a judge its scores and the names of its columns."""
    parts = [re.sub(_SLOT, " ", _prompts(column))]
    if _is_judge(column):
        parts += list(_strings(column.get("scores")))
        parts += map(_words, sorted(_slot_words(column)))
    return " ".join(parts)


def _prompts(column: Column) -> str:
    return f"{column.get('prompt') or ''} {column.get('system_prompt') or ''}"


_SLOT: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def _slot_words(column: Column) -> set[str]:
    """The words in the `{{ }}` and `{% %}` of the prompts."""
    return {
        word for slot in re.findall(_SLOT, _prompts(column)) for word in re.findall(r"[A-Za-z_]\w*", slot)
    }


def _words(name: str) -> str:
    """The words of a name such as `toolResult` or `tool_result`."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).replace("_", " ").replace("-", " ")


def _objects(schema: Any) -> Iterator[set[str]]:
    """The names of the properties of each object in a JSON Schema."""
    match schema:
        case dict():
            fields = cast("dict[str, Any]", schema)
            if isinstance(properties := fields.get("properties"), dict):
                yield {str(name) for name in cast("dict[Any, Any]", properties)}
            for one in fields.values():
                yield from _objects(one)
        case list():
            for one in cast("list[Any]", schema):
                yield from _objects(one)
        case _:
            pass


def _named(pattern: str) -> Callable[[Column], bool]:
    """Whether the column or a property in its schema has a name that ends with a pattern."""
    compiled = re.compile(rf"\b({pattern})$", re.IGNORECASE)

    def applies(column: Column) -> bool:
        names = {str(column.get("name")), *(set[str]().union(*_objects(column.get("output_format"))))}
        return any(compiled.search(_words(name)) for name in names)

    return applies


def _has_object(*groups: set[str]) -> Callable[[Column], bool]:
    """Whether the schema of the column has an object with one property of each group."""
    return lambda column: any(
        all(names & group for group in groups) for names in _objects(column.get("output_format"))
    )


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for one in cast("list[Any]", value):
                yield from _strings(one)
        case dict():
            for name, one in cast("dict[Any, Any]", value).items():
                yield str(name)
                yield from _strings(one)
        case _:
            pass


def _references(column: Column, columns: Mapping[str, Column]) -> list[Column]:
    """The columns that the prompt refers to."""
    return [columns[word] for word in sorted(_slot_words(column)) if word in columns]


def _is_judge(column: Column) -> bool:
    return column.get("column_type") == "llm-judge"


def _is_text(column: Column) -> bool:
    """Whether a model writes the column without tools."""
    return column.get("column_type") in ("llm-text", "llm-structured") and not column.get("tool_alias")


def _is_sql(column: Column) -> bool:
    return column.get("column_type") == "llm-code" and str(column.get("code_lang")).startswith("sql")


def _is_program(column: Column) -> bool:
    return column.get("column_type") == "llm-code" and not _is_sql(column)


def _says(pattern: str) -> Callable[[Column], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda column: compiled.search(_text(column)) is not None


_ABOUT_CORRECTNESS = _says(
    r"\b(correct(ly|ness)?|right answer|accura(te|cy)|passes|would (run|pass|work|compile)|bugs?|wrong)\b"
)
_ABOUT_STYLE = _says(
    r"\b(readab\w+|style|stylistic\w*|efficien\w+|idiomatic|pythonic|naming|comments?|documentation|docstrings?)\b"
)
_ABOUT_CODE = _says(r"\b(code|program|script|function|implementation|unit tests?|python|javascript)\b")
_ABOUT_SQL = _says(r"\bsql\b|\b(database )?quer(y|ies)\b.*\b(database|tables?|schema)\b")
_ABOUT_MATH = _says(
    r"\b(math\w*|arithmetic|algebra\w*|equation|calculat\w+|numeric\w*|word problem|final "
    r"(answer|number|value))\b"
)
_WRITE = r"\b(write|return|give|invent|make up|produce|generate|output|provide|predict|simulate|what is)\b"
_RESULT_OF_TOOL = _says(
    rf"{_WRITE}.{{0,25}}\b(tool|api|function|endpoint|server)(['’]s)?[ -](call )?"
    r"(results?|responses?|outputs?|reply|return value)\b"
    rf"|{_WRITE}.{{0,25}}\b(result|response|output)s? (of|from|returned by) (the |a |an |this |that )?"
    r"(\w+ )?(tool|api|function call|endpoint)\b"
    r"|\b(simulate|pretend to be|act as|mimic|imitate|emulate|role-?play as) (the |a |an )?(\w+ ){0,2}"
    r"(tool|api|search engine|shell|terminal|bash|database|server|calendar|browser|file system)\b"
)
_RESULT_OF_SQL = _says(
    rf"{_WRITE}.{{0,25}}\b(result|output|row)s?( set| table)? (of|from|returned by|that) "
    r"(the |this |that |running the )?(\w+ )?(sql|query)\b"
    r"|\bwhat (the|this) (sql )?query (returns|would return)\b"
)
_RESULT_OF_CODE = _says(
    r"\b(output|result|stdout|return value|printed text)s? (of|from|when running|"
    r"after running|produced by) (the |this |that |running the |executing the )?(\w+ )?"
    r"(code|program|script|function|snippet)\b"
)
_EXECUTES_CODE = _says(
    r"\bwhat (the|this) (code|program|script|snippet) (prints|outputs|returns|would print|would output)\b"
    r"|\b(execute|run|trace) (the |this )?(following )?(code|program|script|snippet)\b"
)
_DIALOGUE = _says(
    r"\b(write|generate|create|simulate|produce)\b.{0,60}\b(conversation|dialog(ue)?|chat|transcript)\b.{0,120}"
    r"\b(agent|assistant|support|tool|customer|bot|turns?)\b"
    r"|\bmulti-?turn (conversation|dialog(ue)?|chat)\b"
)
_INSTRUCTIONS = _says(
    r"\b(word (count|limit)|number of (words|sentences|paragraphs|bullets?( points)?)|bullet points?|no "
    r"commas?|"
    r"(upper|lower)case|forbidden words?|exactly \d+ \w+|follow(s|ed|ing)? (all |every |each |the )?"
    r"(of the )?(formatting |format |given )?(instructions?|constraints?))\b"
)
_SCHEMA = _says(
    r"\b(valid|conforms? to|match(es)?|adheres? to|well-?formed)\b.{0,40}\b(json|yaml|xml|schema)\b"
    r"|\b(json|yaml|xml)\b.{0,30}\b(valid(ity)?|well-?formed|conforms?|parses?)\b"
)
_DIFFICULTY = _says(
    r"\b(rate|estimate|judge|assess|score|predict|grade|classify|evaluate)\b.{0,50}"
    r"\b(difficulty|how (hard|difficult)|solvab\w+)\b"
    r"|\bhow (hard|difficult) (is|would)\b|\bprobability (that|of) .{0,40}\bsolv"
)
_NAMED_TOOL = _named(
    r"(tool|api|function|endpoint)( call)? (results?|responses?|outputs?|reply|replies|return value)"
)
_NAMED_SQL = _named(r"(sql|query|db|database) (results?|outputs?|rows?)|result (set|rows)")
_NAMED_RUN = _named(
    r"stdout|stderr|(program|code|script|execution|console|terminal|test)s? (outputs?|results?|logs?)"
)
_NAMED_DIALOGUE = _named(r"dialog(ue)?s?|conversations?|transcripts?|chat log")
_NAMED_DIFFICULTY = _named(r"(difficulty|hardness|solvability)( (level|score|rating|estimate))?")
_HAS_CALLS = _has_object({"arguments", "args"}, {"result", "output", "response", "observation"})
_HAS_TURNS = _has_object({"role", "speaker", "sender"}, {"content", "text", "message", "utterance"})
_SOLVED_DIFFICULTY = _says(r"\bdifficulty\b|\bhow (hard|difficult)\b")


def _is_about_style_only(column: Column) -> bool:
    """Whether a judge is about taste, for which there is no test."""
    return _ABOUT_STYLE(column) and not _ABOUT_CORRECTNESS(column)


RULES: Final = (
    Rule(
        "judge_of_sql",
        "a model judges whether a SQL query is right",
        "two queries are equal when their results are: the query runs on a real database, and on a "
        "hidden one with other rows; a judge accepts queries that fail",
        "sql",
        "gym data-designer preset sql -o sql.yaml, and replace the judge by its `gym-verify` column",
        lambda column, columns: (
            _is_judge(column)
            and (any(map(_is_sql, _references(column, columns))) or _ABOUT_SQL(column))
            and not _is_about_style_only(column)
        ),
    ),
    Rule(
        "judge_of_code",
        "a model judges whether a program is right",
        "a program is right when hidden tests pass: it runs in a sandbox; a judge reads it and guesses",
        "code_gen",
        "gym run code_gen -i tasks.jsonl, with the tests in verifier_metadata.unit_tests",
        lambda column, columns: (
            _is_judge(column)
            and (
                (any(map(_is_program, _references(column, columns))) and not _is_about_style_only(column))
                or (_ABOUT_CODE(column) and _ABOUT_CORRECTNESS(column))
            )
        ),
    ),
    Rule(
        "judge_of_difficulty",
        "a model guesses how hard a task is",
        "the difficulty of a task for a model is the share of its rollouts that solve it, which a run "
        "measures",
        "that of the tasks",
        "gym run ENVIRONMENT -i tasks.jsonl --num-repeats 8 -o run.jsonl, then gym data-designer "
        "refine --rollouts run.jsonl --config CONFIG.yaml -o next.yaml",
        lambda column, _: (
            (_DIFFICULTY(column) and (_is_text(column) or (_is_judge(column) and _SOLVED_DIFFICULTY(column))))
            or (_NAMED_DIFFICULTY(column) and (_is_text(column) or _is_judge(column)))
        ),
    ),
    Rule(
        "judge_of_schema",
        "a model judges whether a document conforms to a schema",
        "conformance is a computation: a validator is never wrong about it, and costs nothing",
        "structured_outputs",
        "gym run structured_outputs -i tasks.jsonl, with the schema in schema_str",
        lambda column, _: _is_judge(column) and _SCHEMA(column),
    ),
    Rule(
        "judge_of_instructions",
        "a model judges whether a text follows instructions that can be counted",
        "words, bullets and letters are counted by a program, exactly and without a model call",
        "instruction_following",
        "gym data-designer preset instruction_following -o if.yaml, and replace the judge by its "
        "`gym-verify` column",
        lambda column, _: _is_judge(column) and _INSTRUCTIONS(column),
    ),
    Rule(
        "judge_of_math",
        "a model judges whether a mathematical answer is right",
        "answers are compared symbolically: 1/2 is 0.5, and a judge is not needed for it",
        "math_with_judge",
        "gym data-designer preset math_word_problems -o math.yaml, and replace the judge by its "
        "`gym-verify` column",
        lambda column, _: _is_judge(column) and _ABOUT_MATH(column) and _ABOUT_CORRECTNESS(column),
    ),
    Rule(
        "simulated_sql_result",
        "a model invents the rows that a query returns",
        "the query runs on a real database, so the rows agree with the query and with one another",
        "sql",
        "gym data-designer preset sql -o sql.yaml; gym run sql gives the model the tool run_query",
        lambda column, _: _is_text(column) and (_RESULT_OF_SQL(column) or _NAMED_SQL(column)),
    ),
    Rule(
        "simulated_execution",
        "a model guesses what a program prints",
        "the program runs in a sandbox, and its output is its output",
        "code_gen",
        "gym run code_gen -i tasks.jsonl, with the tests in verifier_metadata.unit_tests",
        lambda column, columns: (
            _is_text(column)
            and (
                (_RESULT_OF_CODE(column) and any(map(_is_program, _references(column, columns))))
                or _EXECUTES_CODE(column)
                or _NAMED_RUN(column)
            )
        ),
    ),
    Rule(
        "simulated_tool",
        "a model invents the result of a tool",
        "real tools keep a state: what is written is found again, and a wrong call is an error; the "
        "end state can be verified",
        "workplace_assistant, or your own",
        "tool_configs with `providers: [gym-workplace_assistant]` and a `tool_alias` on the column, "
        "then gym data-designer create CONFIG.yaml; own tools: gym env init my_tools",
        lambda column, _: (
            _is_text(column) and (_RESULT_OF_TOOL(column) or _NAMED_TOOL(column) or _HAS_CALLS(column))
        ),
    ),
    Rule(
        "simulated_dialogue",
        "a model writes all sides of a conversation",
        "the policy meets a user model turn by turn, and what it did is verified at the end",
        "tau2",
        "gym data-designer preset customer_service -o service.yaml, then gym run on its tasks with "
        "--ask user.model=...",
        lambda column, _: (
            _is_text(column) and (_DIALOGUE(column) or _NAMED_DIALOGUE(column) or _HAS_TURNS(column))
        ),
    ),
    Rule(
        "lint_only",
        "a validator reads the code and does not run it",
        "code that parses can be wrong: only an execution shows it",
        "code_gen for programs, sql for queries",
        "gym run code_gen -i tasks.jsonl, or for SQL: gym data-designer preset sql -o sql.yaml",
        lambda column, _: (
            column.get("column_type") == "validation" and column.get("validator_type") == "code"
        ),
    ),
)
"""The rules, in the order in which they are tried."""
