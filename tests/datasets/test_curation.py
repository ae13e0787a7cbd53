"""`gym dataset curate`: what goes, what stays, and that what stays is the same."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.datasets.curation.against import read_against
from nemo_gym.datasets.curation.curate import CurateSettings, curate
from nemo_gym.datasets.curation.ngrams import Benchmark, Tokens
from nemo_gym.datasets.curation.output import Report
from nemo_gym.datasets.curation.quality import Limits
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.task_source import own_tasks
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.items import system, user
from tests.support.planted_tasks import REASONS, WORDS, Planted

Gym = Callable[..., "subprocess.CompletedProcess[str]"]
FREE = CurateSettings(near=None, limits=Limits(min_words=0))


def curated(folder: Path, rows: Sequence[Any], settings: CurateSettings = FREE) -> tuple[list[Any], Report]:
    """The rows that stay."""
    source, target = folder / "in.jsonl", folder / "out.jsonl"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    report = curate(source, target, settings)
    return [json.loads(line) for line in target.read_text().splitlines()], report


def asks(text: str, **columns: Any) -> dict[str, Any]:
    return {"responses_create_params": {"input": text}, **columns}


def chain_of_changes() -> list[dict[str, Any]]:
    """Rows of 60 words, each with another word in one place than the row before."""
    rng = random.Random(3)
    text = [f"word{rng.randrange(5000)}" for _ in range(60)]
    rows: list[dict[str, Any]] = []
    for place in range(300):
        rows.append(asks(" ".join(text), id=place))
        text[place % 60] = f"word{rng.randrange(5000)}"
    return rows


def words(seed: int, count: int) -> list[str]:
    return random.Random(seed).choices(WORDS, k=count)


class TestPlanted:
    def test_what_is_planted_goes_and_the_rest_stays_byte_by_byte(self, tmp_path: Path) -> None:
        planted = Planted(tmp_path)
        against = [read_against(str(planted.benchmark), [])]
        removed = tmp_path / "removed.jsonl"

        report = curate(planted.tasks, tmp_path / "out.jsonl", CurateSettings(), against, removed)

        assert (tmp_path / "out.jsonl").read_bytes() == b"".join(planted.kept)
        records = [json.loads(line) for line in removed.read_text().splitlines()]
        assert sorted(record["reason"] for record in records) == sorted(REASONS.values())
        assert report.removed == {reason: [*REASONS.values()].count(reason) for reason in REASONS.values()}
        assert (report.rows, report.kept) == (len(planted.lines), len(planted.kept))

    def test_nothing_is_lost(self, tmp_path: Path) -> None:
        planted = Planted(tmp_path)
        removed = tmp_path / "removed.jsonl"
        curate(planted.tasks, tmp_path / "out.jsonl", CurateSettings(), [], removed)

        records = [json.loads(line) for line in removed.read_text().splitlines()]
        lines = planted.tasks.read_text(encoding="utf-8-sig").split("\n")
        for record in records:
            assert record["row"] == json.loads(lines[record["line"] - 1])
            assert record["id"] == record["row"]["id"]
        assert len(records) + len((tmp_path / "out.jsonl").read_bytes().splitlines()) == len(planted.lines)

    def test_a_duplicate_names_the_row_that_stays(self, tmp_path: Path) -> None:
        rows = [asks("first question"), asks("second question"), asks("first question", id="again")]
        _, report = curated(tmp_path, rows)
        example = report.examples["duplicate"][0]
        assert (example.line, example.id, example.of, example.text) == (3, "again", 1, "first question")

    def test_another_process_does_the_same(self, tmp_path: Path) -> None:
        planted = Planted(tmp_path)
        outputs = []
        for seed in ("1", "2"):
            argv = [sys.executable, "-m", "nemo_gym", "dataset", "curate", str(planted.tasks), "--json"]
            argv += ["-o", f"{tmp_path}/{seed}.jsonl", "--against", str(planted.benchmark)]
            argv += ["--removed", f"{tmp_path}/{seed}.removed.jsonl"]
            done = subprocess.run(argv, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True)
            files = [tmp_path / f"{seed}.jsonl", tmp_path / f"{seed}.removed.jsonl"]
            outputs.append([done.stdout, *(file.read_bytes() for file in files)])
        assert outputs[0] == outputs[1]


class TestDuplicates:
    def test_ids_and_spaces_make_no_difference(self, tmp_path: Path) -> None:
        rows = [asks("What  is 2 + 3?", id=1, expected="5"), asks(" What is\n2 + 3?", id=2, expected="5")]
        kept, report = curated(tmp_path, rows)
        assert kept == rows[:1]
        assert report.removed == {"duplicate": 1}

    def test_a_sign_makes_a_difference(self, tmp_path: Path) -> None:
        rows = [asks("What is 12 + 3?"), asks("What is 12 - 3?"), asks("What is 12 : 3?")]
        kept, _ = curated(tmp_path, rows, CurateSettings())
        assert kept == rows

    def test_rows_with_other_data_for_the_verifier_stay_and_are_counted(self, tmp_path: Path) -> None:
        rows = [asks("Play a game.", verifier_metadata={"seed": seed % 3}) for seed in range(6)]
        kept, report = curated(tmp_path, rows, CurateSettings())
        assert kept == rows[:3]
        assert (report.same_text, report.removed) == (2, {"duplicate": 3})
        kept, report = curated(tmp_path, rows, CurateSettings(by_text=True))
        assert kept == rows[:1]

    def test_other_tools_images_agents_and_system_prompts_make_other_tasks(self, tmp_path: Path) -> None:
        text = " ".join(words(1, 50))
        picture = {"type": "input_image", "image_url": "data:,1"}
        parts = {"role": "user", "content": [{"type": "input_text", "text": text}, picture]}
        tool = {"type": "function", "name": "f"}
        rows: list[Any] = [
            asks(text),
            asks(text, agent_ref={"name": "other"}),
            {"responses_create_params": {"input": [parts]}},
            {"responses_create_params": {"input": [system("Be kind."), user(text)]}},
            {"responses_create_params": {"input": text, "tools": [tool]}},
        ]
        kept, _ = curated(tmp_path, rows, CurateSettings(by_text=True))
        assert kept == rows

    def test_near_duplicates_are_those_of_a_comparison_of_all_pairs(self, tmp_path: Path) -> None:
        rng = random.Random(11)
        texts = [words(seed, 60) for seed in range(40)]
        for _ in range(160):
            text = list(rng.choice(texts))
            for _ in range(rng.randint(0, 8)):
                text[rng.randrange(60)] = rng.choice(WORDS)
            texts.append(text)
        triples = [{tuple(text[place : place + 3]) for place in range(58)} for text in texts]
        expected: list[int] = []
        for place, own in enumerate(triples):
            if all(len(own & triples[one]) < 0.8 * len(own | triples[one]) for one in expected):
                expected.append(place)

        rows = [asks(" ".join(text), id=place) for place, text in enumerate(texts)]
        kept, _ = curated(tmp_path, rows, CurateSettings())

        assert [row["id"] for row in kept] == expected
        assert 100 < len(expected) < 180

    def test_nearly_the_same_question_with_another_answer_stays_and_is_counted(self, tmp_path: Path) -> None:
        schema = " ".join(words(4, 90))
        rows = [
            asks(f"{schema} How many doctors?", answer=3, id=1),
            asks(f"{schema} How many farmers?", answer=8, id=2),
            asks(f"{schema} How many farmers are there?", answer=8, id=3),
        ]
        kept, report = curated(tmp_path, rows, CurateSettings())
        assert kept == rows[:2]
        assert (report.near_text, report.removed) == (1, {"near_duplicate": 1})
        kept, _ = curated(tmp_path, rows, CurateSettings(by_text=True))
        assert kept == rows[:1]

    def test_rows_a_little_less_similar_are_not_counted_where_nothing_else_differs(
        self, tmp_path: Path
    ) -> None:
        rows = chain_of_changes()
        kept, report = curated(tmp_path, rows, CurateSettings())
        again, second = curated(tmp_path, kept, CurateSettings())
        assert report.near_text == second.near_text == 0
        assert again == kept
        assert 1 < len(kept) < len(rows) / 2

    @pytest.mark.parametrize("name", ["blackjack", "countdown", "multi_agent", "sql", "tetris"])
    def test_the_tasks_of_an_environment_stay(self, tmp_path: Path, name: str) -> None:
        rows = list(own_tasks(find_environment(name)(), "train", 1, 60))
        kept, _ = curated(tmp_path, rows, CurateSettings())
        assert len(rows) == 60
        assert kept == json.loads(json.dumps(rows))

    def test_short_questions_in_a_long_template_are_not_near_duplicates(self, tmp_path: Path) -> None:
        template = " ".join(words(2, 120))
        rows = [asks(f"{template}\nQ: {' '.join(words(seed, 8))}?") for seed in range(80)]
        rows.append(asks(f"{template}\nQ: {' '.join(words(3, 8))}? Now."))
        kept, report = curated(tmp_path, rows, CurateSettings(near=0.6))
        assert kept == rows[:-1]
        assert report.removed == {"near_duplicate": 1}


class TestQuality:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("one two", "too_short"),
            ("!!! ??? ...", "too_short"),
            ("a b c " * 20, "too_long"),
            ("the same words again and " * 9, "repetitive"),
            ("\x00\x01" * 20 + "one two three", "unreadable"),
            ("three words here \ue000\ue001\ue002", "unreadable"),
        ],
    )
    def test_junk_goes(self, tmp_path: Path, text: str, reason: str) -> None:
        _, report = curated(tmp_path, [asks(text)], CurateSettings(limits=Limits(max_words=50)))
        assert report.removed == {reason: 1}

    @pytest.mark.parametrize(
        "text",
        [
            "x . o\n" * 40 + "Who wins here?",
            "1 0 0 0 1\n" * 40 + "Which cell is odd?",
            "请你计算三加四等于多少",
            "What is 7?",
            "Tabs\tand\nlines are fine.",
        ],
    )
    def test_boards_grids_and_other_languages_stay(self, tmp_path: Path, text: str) -> None:
        kept, _ = curated(tmp_path, [asks(text)], CurateSettings())
        assert kept == [asks(text)]

    def test_a_row_without_any_text_stays(self, tmp_path: Path) -> None:
        kept, report = curated(tmp_path, [{"seed": 1}, {"seed": 2}], CurateSettings())
        assert kept == [{"seed": 1}, {"seed": 2}]
        assert report.without_text == 2


class TestLeaks:
    def leak(self, text: str, *questions: str, size: int = 13) -> str | None:
        benchmark = Benchmark.of("b", [[question] for question in questions], size)
        found = benchmark.find(Tokens.of(text).words)
        return found and found.passage

    def test_thirteen_common_words_are_a_leak_and_twelve_are_none(self) -> None:
        passage = words(5, 30)
        own = ["quite", "other", "words"]
        assert self.leak(" ".join([*own, *passage[4:17], *own]), " ".join(passage)) == " ".join(passage[4:17])
        assert self.leak(" ".join([*own, *passage[4:16], *own]), " ".join(passage)) is None

    def test_signs_and_capitals_make_no_difference(self) -> None:
        passage = words(6, 20)
        assert self.leak("-".join(passage).upper(), " ".join(passage))

    def test_a_short_question_is_compared_whole(self) -> None:
        passage = words(7, 9)
        assert self.leak(f"so: {' '.join(passage)} ok", " ".join(passage)) == " ".join(passage)
        assert self.leak(" ".join(passage[:-1]), " ".join(passage)) is None

    def test_the_prompt_of_a_benchmark_is_no_leak(self) -> None:
        prompt = " ".join(words(8, 40))
        questions = [f"{prompt} {' '.join(words(seed, 20))}" for seed in range(30)]
        assert self.leak(f"{prompt} and something else", *questions) is None
        assert self.leak(f"Solve {' '.join(words(4, 20))}", *questions)

    def test_the_name_of_a_benchmark_means_its_prepared_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError, match="gym eval prepare --benchmark gsm8k"):
            read_against("gsm8k", [])
        data = tmp_path / "benchmarks" / "gsm8k" / "data"
        data.mkdir(parents=True)
        row = {"question": " ".join(words(9, 30)), "expected_answer": "1"}
        (data / "gsm8k_benchmark.jsonl").write_text(json.dumps(row))
        benchmark, report = read_against("gsm8k", [tmp_path])
        assert (report.name, report.rows, report.ngrams) == ("gsm8k", 1, 18)
        assert benchmark.find(Tokens.of(row["question"]))

    def test_a_saved_benchmark_finds_the_same(self, tmp_path: Path) -> None:
        benchmark = Benchmark.of("b", [[" ".join(words(1, 30))], [" ".join(words(2, 9))]])
        benchmark.save(tmp_path / "b.npz")
        loaded = Benchmark.load(tmp_path / "b.npz")
        for seed, count in ((1, 30), (2, 9), (3, 30)):
            text = Tokens.of(" ".join(words(seed, count)))
            assert loaded.find(text) == benchmark.find(text)

    @pytest.mark.parametrize(
        ("content", "message"),
        [(None, "there is no such file"), ("", "nothing in it"), ('{"a": "short"}', "at least 8 words")],
    )
    def test_what_can_not_be_compared_is_refused(
        self, tmp_path: Path, content: str | None, message: str
    ) -> None:
        path = tmp_path / "b.jsonl"
        if content is not None:
            path.write_text(content)
        with pytest.raises(UsageError, match=message):
            read_against(str(path), [])

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("b.json", b"[{", r"b\.json: not valid JSON: "),
            ("b.json", b'["\xff"]', r"b\.json: not valid JSON: "),
            ("b.json", b"[" * 100_000, r"b\.json: not valid JSON: "),
            ("b.json", b'{"a": 1}', r"b\.json: expected a list of objects"),
            ("b.json", b'[{"a": 1}, 2]', r"b\.json\[1\]: expected an object"),
            ("b.csv", b"a,b\n1,2\n" + b"x" * ((1 << 26) + 1), r"b\.csv:3: field larger than field limit"),
            ("b.tsv", b"a\tb\n\xff\t2\n", r"b\.tsv: not UTF-8"),
            ("b.parquet", b"PAR1", r"b\.parquet: not a Parquet file: [^\n]*$"),
            ("b.txt", b"text", r"b\.txt: expected \.jsonl, \.json"),
        ],
    )
    def test_a_file_of_another_format_is_one_error(
        self, tmp_path: Path, name: str, content: bytes, message: str
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=message):
            read_against(str(tmp_path / name), [])


class TestColumns:
    def test_rows_without_an_input_are_compared_by_all_their_texts(self, tmp_path: Path) -> None:
        rows = [{"question": "Who was it?", "uuid": "1"}, {"question": "Who was it?", "uuid": "2"}]
        kept, _ = curated(tmp_path, rows)
        assert kept == rows[:1]

    def test_a_column_can_be_named(self, tmp_path: Path) -> None:
        rows = [asks("a", verifier_metadata={"q": "one two"}), asks("b", verifier_metadata={"q": "one two"})]
        kept, _ = curated(
            tmp_path, rows, CurateSettings(near=None, fields=("verifier_metadata.q",), limits=FREE.limits)
        )
        assert kept == rows[:1]

    def test_a_missing_column_names_its_line(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"in\.jsonl:2: there is no field 'q'"):
            curated(tmp_path, [{"q": "x"}, {"p": "x"}], CurateSettings(fields=("q",)))


class TestErrors:
    def test_a_line_that_is_no_object_ends_it_and_leaves_no_file(self, tmp_path: Path) -> None:
        source = tmp_path / "in.jsonl"
        source.write_text('{"a": "one two three"}\n[1]\n')
        with pytest.raises(DataError, match=r"in\.jsonl:2: expected a JSON object"):
            curate(source, tmp_path / "out.jsonl", FREE)
        assert not (tmp_path / "out.jsonl").exists()

    def test_an_empty_file_and_the_same_file_are_refused(self, tmp_path: Path) -> None:
        source = tmp_path / "in.jsonl"
        source.write_text("\n")
        with pytest.raises(UsageError, match="nothing in it"):
            curate(source, tmp_path / "out.jsonl", FREE)
        with pytest.raises(UsageError, match="three different files"):
            curate(source, source, FREE)


@given(texts=st.lists(st.text(max_size=40) | st.sampled_from(["a b c d", "a b c e", "x"]), min_size=1))
def test_the_rows_that_stay_are_rows_of_the_file_in_order(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    rows = [asks(text, place=place % 2) for place, text in enumerate(texts)]
    kept, report = curated(tmp_path_factory.mktemp("rows"), rows, CurateSettings(limits=FREE.limits))
    remaining = iter(rows)
    assert all(row in remaining for row in kept)
    assert report.rows == len(rows) == len(kept) + sum(report.removed.values())


class TestCommand:
    def test_it_says_what_it_did(self, gym: Gym, tmp_path: Path) -> None:
        planted = Planted(tmp_path)
        done = gym(
            *("dataset", "curate", planted.tasks, "-o", tmp_path / "out.jsonl"),
            *("--against", planted.benchmark, "--removed", tmp_path / "gone.jsonl"),
        )
        assert done.returncode == 0
        assert f"{len(planted.lines)} rows, {len(planted.kept)} stay -> " in done.stdout
        assert "2  duplicates" in done.stdout
        assert "benchmark.jsonl, row 1: " in done.stdout
        assert "1 rows stay that have no text to compare" in done.stderr

    def test_curator_needs_its_python(self, gym: Gym, tmp_path: Path) -> None:
        planted = Planted(tmp_path)
        command = ("dataset", "curate", planted.tasks, "-o", tmp_path / "out.jsonl")
        done = gym(*command, "--curator")
        assert done.returncode == 2
        assert "needed: --curator-python PATH: in a virtual environment of Python 3.12" in done.stderr
        done = gym(*command, "--curator-python", sys.executable)
        assert "--curator-python goes with --curator" in done.stderr
