"""Five own records of each benchmark's data set on the hub, with the true columns of its files."""

from __future__ import annotations

import base64
import csv
import io
import json
import pickle
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow
from pyarrow import parquet


class Repository(NamedTuple):
    """A data set on the hub."""

    name: str
    file: str
    license: str
    records: Sequence[dict[str, Any]]
    answers: Sequence[str] = ()
    """The final answer that each row must expect."""
    outputs: Sequence[str] = ()
    """A right output for each row; by default the oracle's."""

    def content(self) -> bytes:
        """The file."""
        if self.file.endswith(".parquet"):
            target = io.BytesIO()
            parquet.write_table(pyarrow.Table.from_pylist(list(self.records)), target)
            return target.getvalue()
        if self.file.endswith(".csv"):
            text = io.StringIO()
            writer = csv.DictWriter(text, list(self.records[0]))
            writer.writeheader()
            writer.writerows(self.records)
            return text.getvalue().encode()
        return "".join(f"{json.dumps(record)}\n" for record in self.records).encode()


def packed(tests: Sequence[dict[str, str]]) -> str:
    """Tests as LiveCodeBench publishes the private ones."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


SUMS = [(f"What is {a} + {b}?", str(a + b)) for a, b in ((1, 2), (20, 30), (1000, 234), (7, 8), (400, 4))]
CHOICES = [("Which of these is a colour?", ["blue", "seven", "cat", "run"], 0)] * 3 + [
    ("Which of these is a number?", ["blue", "seven", "cat", "run"], 1),
    ("Which of these is an animal?", ["blue", "seven", "cat", "run"], 2),
]
LETTERS = [*("ABCDEFGHIJ"[right] for _, _, right in CHOICES)]

REPOSITORIES: dict[str, Repository] = {
    "gsm8k": Repository(
        "openai/gsm8k",
        "main/test-00000-of-00001.parquet",
        "mit",
        [
            {"question": question, "answer": f"We add. <<1+2=3>>\n#### {int(answer):,}"}
            for question, answer in SUMS
        ],
        [answer for _, answer in SUMS],
    ),
    "math500": Repository(
        "HuggingFaceH4/MATH-500",
        "test.jsonl",
        "",
        [
            {
                "problem": question,
                "solution": rf"It is $\boxed{{{answer}}}$.",
                "answer": answer,
                "subject": "Prealgebra",
                "level": 1,
                "unique_id": f"test/prealgebra/{number}.json",
            }
            for number, (question, answer) in enumerate(SUMS)
        ],
        [answer for _, answer in SUMS],
    ),
    "aime24": Repository(
        "HuggingFaceH4/aime_2024",
        "data/train-00000-of-00001.parquet",
        "",
        [
            {
                "id": 60 + number,
                "problem": question,
                "solution": "We add.",
                "answer": answer.zfill(3),
                "url": "https://example.org/problem",
                "year": "2024",
            }
            for number, (question, answer) in enumerate(SUMS)
        ],
        [answer for _, answer in SUMS],
    ),
    "aime25": Repository(
        "MathArena/aime_2025",
        "data/train-00000-of-00001.parquet",
        "cc-by-nc-sa-4.0",
        [
            {"problem_idx": number, "problem": question, "answer": int(answer), "problem_type": ["Algebra"]}
            for number, (question, answer) in enumerate(SUMS, start=1)
        ],
        [answer for _, answer in SUMS],
    ),
    "amc23": Repository(
        "math-ai/amc23",
        "data/test-00000-of-00001.parquet",
        "",
        [
            {
                "id": number,
                "question": question,
                "answer": f"{answer}.0",
                "url": "https://example.org/problem",
            }
            for number, (question, answer) in enumerate(SUMS)
        ],
        [answer for _, answer in SUMS],
    ),
    "olympiadbench": Repository(
        "Hothan/OlympiadBench",
        "OlympiadBench/OE_TO_maths_en_COMP/OE_TO_maths_en_COMP.parquet",
        "apache-2.0",
        [
            {
                "id": number,
                "question": question,
                "solution": ["We add."],
                "final_answer": [f"${answer}$"] if number else ["$x=2$", "$x=-2$"],
                "context": None,
                "modality": "Text-only",
                "difficulty": "Competition",
                "is_multiple_answer": not number,
                "unit": None,
                "answer_type": "Numerical",
                "error": None,
                "question_type": "Open-ended",
                "subfield": "Algebra",
                "subject": "Math",
                "language": "English",
            }
            for number, (question, answer) in enumerate(SUMS)
        ],
        ["x=2, x=-2", *(answer for _, answer in SUMS[1:])],
    ),
    "gpqa_diamond": Repository(
        "Idavidrein/gpqa",
        "gpqa_diamond.csv",
        "cc-by-4.0",
        [
            {
                "Question": f"{question} Number {number}.",
                "Correct Answer": f"{options[right]}\n",
                **{
                    f"Incorrect Answer {place}": option
                    for place, option in enumerate([*options[:right], *options[right + 1 :]], start=1)
                },
                "High-level domain": "Chemistry",
                "Subdomain": "Organic Chemistry",
                "Record ID": f"rec{number}",
            }
            for number, (question, options, right) in enumerate(CHOICES)
        ],
        [options[right] for _, options, right in CHOICES],
    ),
    "mmlu_pro": Repository(
        "TIGER-Lab/MMLU-Pro",
        "data/test-00000-of-00001.parquet",
        "mit",
        [
            {
                "question_id": number,
                "question": question,
                "options": options,
                "answer": "ABCDEFGHIJ"[right],
                "answer_index": right,
                "cot_content": "",
                "category": "other",
                "src": "own",
            }
            for number, (question, options, right) in enumerate(CHOICES)
        ],
        LETTERS,
    ),
    "supergpqa": Repository(
        "m-a-p/SuperGPQA",
        "SuperGPQA-all.jsonl",
        "odc-by",
        [
            {
                "uuid": f"{number:032x}",
                "question": question,
                "options": options,
                "answer": options[right],
                "answer_letter": "ABCDEFGHIJ"[right],
                "discipline": "Science",
                "field": "Words",
                "subfield": "Words",
                "difficulty": "easy",
                "is_calculation": False,
            }
            for number, (question, options, right) in enumerate(CHOICES)
        ],
        LETTERS,
    ),
    "simpleqa": Repository(
        "basicv8vc/SimpleQA",
        "simple_qa_test_set.csv",
        "mit",
        [
            {"metadata": "{'topic': 'Arithmetic', 'urls': []}", "problem": question, "answer": answer}
            for question, answer in SUMS
        ],
        [answer for _, answer in SUMS],
    ),
    "ifeval": Repository(
        "google/IFEval",
        "ifeval_input_data.jsonl",
        "apache-2.0",
        [
            {
                "key": 1000 + number,
                "prompt": f"Write about {topic} without any commas.",
                "instruction_id_list": ["punctuation:no_comma", "startend:end_checker"],
                "kwargs": [{}, {"end_phrase": "Good night."}],
            }
            for number, topic in enumerate(("tea", "rain", "owls", "maps", "bread"))
        ],
        outputs=["It is fine and good. Good night."] * 5,
    ),
    "humaneval_plus": Repository(
        "evalplus/humanevalplus",
        "data/test-00000-of-00001-5973903632b82d40.parquet",
        "apache-2.0",
        [
            {
                "task_id": f"HumanEval/{number}",
                "prompt": f'def add_{number}(a: int) -> int:\n    """Add {number} to a."""\n',
                "canonical_solution": f"    return a + {number}\n",
                "entry_point": f"add_{number}",
                "test": "def check(candidate):\n    inputs = [[1], [2], [-5]]\n    results = [0, 0, 0]\n",
            }
            for number in range(5)
        ],
    ),
    "mbpp_plus": Repository(
        "evalplus/mbppplus",
        "data/test-00000-of-00001-d5781c9c51e02795.parquet",
        "apache-2.0",
        [
            {
                "task_id": number,
                "code": f"def times_{number}(a):\n    return a * {number}\n",
                "prompt": f"Write a function to multiply a number by {number}.",
                "source_file": "own",
                "test_imports": [],
                "test_list": [f"assert times_{number}(2) == {2 * number}"],
                "test": "inputs = [[1], [2], [-5]]\nresults = [0, 0, 0]\n",
            }
            for number in range(1, 6)
        ],
    ),
    "livecodebench_v6": Repository(
        "livecodebench/code_generation_lite",
        "test6.jsonl",
        "cc",
        [
            {
                "question_title": "Double",
                "question_content": f"Read a number and print it {factor} times as large.",
                "platform": "atcoder",
                "question_id": f"own_{factor}",
                "contest_id": "own",
                "contest_date": "2025-01-04T00:00:00",
                "starter_code": "",
                "difficulty": "easy",
                "public_test_cases": json.dumps(
                    [{"input": "2\n", "output": f"{2 * factor}\n", "testtype": "stdin"}]
                ),
                "private_test_cases": packed(
                    [{"input": "7\n", "output": f"{7 * factor}\n", "testtype": "stdin"}]
                ),
                "metadata": "{}",
            }
            for factor in range(2, 7)
        ],
        outputs=[f"```python\nprint({factor} * int(input()))\n```" for factor in range(2, 7)],
    ),
    "bigcodebench": Repository(
        "bigcode/bigcodebench",
        "data/v0.1.4-00000-of-00001.parquet",
        "apache-2.0",
        [
            {
                "task_id": f"BigCodeBench/{number}",
                "complete_prompt": f'import math\ndef task_func(a):\n    """Add {number} to floor(a)."""\n',
                "instruct_prompt": f"Add {number} to floor(a). Start with:\n```\ndef task_func(a):\n```",
                "canonical_solution": f"    return math.floor(a) + {number}",
                "code_prompt": "import math\ndef task_func(a):\n",
                "test": "import unittest\nclass TestCases(unittest.TestCase):\n    def test_case_1(self):\n"
                f"        self.assertEqual(task_func(2.5), {2 + number})\n",
                "entry_point": "task_func",
                "doc_struct": '{"description": ["Add."]}',
                "libs": "['math']",
            }
            for number in range(5)
        ],
    ),
    "mrcr": Repository(
        "openai/mrcr",
        "2needle.parquet",
        "mit",
        [
            {
                "prompt": json.dumps(
                    [
                        {"role": "user", "content": "Write a poem about tea."},
                        {"role": "assistant", "content": f"Tea is warm and number {number} is best of all."},
                        {"role": "user", "content": f"Prepend abc{number} to the first poem about tea."},
                    ]
                ),
                "answer": f"abc{number}Tea is warm and number {number} is best of all.",
                "random_string_to_prepend": f"abc{number}",
                "n_needles": 2,
                "desired_msg_index": 1,
                "total_messages": 3,
                "n_chars": 100 if number < 5 else 10**6,
            }
            for number in range(6)
        ],
    ),
    "graphwalks": Repository(
        "openai/graphwalks",
        "graphwalks_128k_and_shorter.parquet",
        "mit",
        [
            {
                "prompt": f"The edges are a{number} -> b and a{number} -> c. Name the children of a{number}.",
                "answer_nodes": ["b", "c"],
                "prompt_chars": 80,
                "problem_type": "bfs",
                "date_added": "2025-04-14",
            }
            for number in range(5)
        ],
    ),
}
