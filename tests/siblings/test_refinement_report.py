"""The report of a refinement, and the commands `gym data-designer refine` and `advise`."""

import itertools
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
import yaml
from support.designed_runs import task_rows, topic_config, topic_run, write_run
from typer.testing import CliRunner

from nemo_gym.cli.main import app
from nemo_gym.siblings.data_designer import charts
from nemo_gym.siblings.data_designer.config import write_yaml
from nemo_gym.siblings.data_designer.evidence import read_evidence
from nemo_gym.siblings.data_designer.page import Heading, Page, Paragraph, Table, write_page
from nemo_gym.siblings.data_designer.refine import refine
from nemo_gym.siblings.data_designer.report import refinement_page

SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


@pytest.fixture
def files(tmp_path):
    run = topic_run(tmp_path / "run.jsonl", {"easy": 10, "middle": 5, "hard": 2})
    write_yaml(tmp_path / "config.yaml", topic_config())
    return run, tmp_path / "config.yaml", tmp_path / "next.yaml", tmp_path / "report"


def gym(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def refine_words(files):
    run, config, output, report = files
    return (
        "data-designer",
        "refine",
        "--rollouts",
        run,
        "--config",
        config,
        "-o",
        output,
        "--report",
        report,
    )


def test_refine_writes_the_configuration_and_the_report(files):
    result = gym(*refine_words(files))

    assert result.exit_code == 0, result.output
    weights = yaml.safe_load(files[2].read_text())["data_designer"]["columns"][0]["params"]["weights"]
    assert max(weights) == weights[2]
    assert {path.name for path in files[3].iterdir()} >= {"report.html", "report.md", "weights_0.svg"}
    assert "hard" in result.output


def test_refine_prints_json(files):
    result = gym(*refine_words(files), "--json")

    figures = json.loads(result.stdout)
    assert figures["weights"][0]["column"] == "topic"
    assert figures["suspects"] == []


def test_the_report_names_the_weakest_value_and_the_rules(files):
    gym(*refine_words(files))

    for name in ("report.html", "report.md"):
        text = (files[3] / name).read_text()
        assert "“hard” is the weakest" in text
        assert "DerSimonian and Laird" in text
        assert "none solved it, all have the same answer" in text


def test_every_chart_is_well_formed_and_every_link_of_the_markdown_has_its_file(files):
    gym(*refine_words(files))

    svgs = SVG.findall((files[3] / "report.html").read_text())
    links = re.findall(r"\]\((\w+\.svg)\)", (files[3] / "report.md").read_text())
    assert len(svgs) == len(links) >= 4
    for svg in svgs:
        ElementTree.fromstring(svg)
    for link in links:
        ElementTree.fromstring((files[3] / link).read_text())


def test_text_of_models_is_text_on_the_page(tmp_path):
    hostile = "<script>alert(1)</script> [a](http://x) \x1b[31m | cell"
    rows = [row for task in range(4) for row in task_rows(task, ["right", hostile], topic=hostile)]
    rows += [row for task in range(4, 8) for row in task_rows(task, ["no", "no"], topic="b")]
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic"])

    page = refinement_page(evidence, refine(topic_config(topics=[hostile, "b"]), evidence))

    assert "<script" not in page.html()
    assert "\x1b" not in page.html() + page.markdown()
    assert "<script" not in page.markdown().replace("\\<", "")
    assert "\\[a\\](http" in page.markdown()


@pytest.mark.parametrize(
    "name", ["nul \x00", "\u202egnp.evil\u202c", "\ud800", "</svg><script>", "' onload='x()"]
)
def test_any_name_leaves_the_charts_well_formed(name):
    for svg in (
        charts.shares([charts.Share(name, 0.5, remark=name)], name),
        charts.before_after([(name, 0.1, 0.2)], name, (name, name)),
        charts.histogram([(name, 1, charts.BLUE)], name, name),
        charts.stacked([(name, {name: 1})], name),
        charts.lines({name: [0.5, None]}, [name], name, name),
    ):
        root = ElementTree.fromstring(svg)
        assert {one.tag.rpartition("}")[2] for one in root.iter()} <= {
            "svg",
            "text",
            "rect",
            "line",
            "polyline",
            "circle",
        }
        assert "onload" not in root.attrib
        assert not set(svg) & {"\x00", "\u202e", "\ud800"}


@pytest.mark.parametrize("sign", ["W", "é", "国", "a"])
def test_a_label_ends_where_its_room_does(sign):
    (label,) = re.findall(r">([^<]*…)<", charts.shares([charts.Share(sign * 60, 0.5)], "t"))

    assert 9 <= len(label) <= 20
    assert (len(label) <= 11) == (sign == "国")


def test_text_of_every_script_is_shown_as_it_is(tmp_path):
    text = "数学　题 👩\u200d🏫 می\u200cخواهم\xa0"

    write_page(Page("t", blocks=[Paragraph(text)]), tmp_path)

    assert f"<p>{text}</p>" in (tmp_path / "report.html").read_text()


def many_values(tmp_path, number):
    rows = []
    for value in range(number):
        rows += task_rows(
            value, ["right"] * (value % 3) + [f"wrong {value}"] * (3 - value % 3), topic=f"t{value}"
        )
    return read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic"])


def test_the_weakest_of_many_values_are_shown_with_their_failures(tmp_path):
    evidence = many_values(tmp_path, 30)

    page = refinement_page(evidence, refine(topic_config(topics=[f"t{one}" for one in range(30)]), evidence))

    text = page.markdown()
    assert "topic: “t0” is the weakest" in text
    assert text.count("| topic: t") == 10
    assert "by topic. The 20 strongest of 30 are left out." in text
    assert "![Rollouts that did not solve their task, by topic. The 20 strongest" in text


def test_a_heading_has_something_below_it(tmp_path):
    rows = [row for task in range(9) for row in task_rows(task, ["right", "no"], topic="easy")]
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic"])
    refinement = refine(topic_config(topics=["easy"]), evidence)

    page = refinement_page(evidence, refinement)

    kinds = [type(block) for block in page.blocks]
    assert (Heading, Heading) not in list(itertools.pairwise(kinds))
    assert refinement.notes[0] == "topic: fewer than two values have tasks; weights unchanged"


def test_a_column_with_many_values_is_read_once(tmp_path):
    evidence, reads = many_values(tmp_path, 40), []

    class Values(dict):
        def __contains__(self, name):
            reads.append(name)
            return super().__contains__(name)

    tasks = [replace(task, values=Values(task.values)) for task in evidence.tasks]
    groups = replace(evidence, tasks=tasks).by_value("topic")

    assert (len(groups), len(reads)) == (40, 40)


def test_very_small_shares_are_not_zero():
    assert [charts.percent(share) for share in (0, 0.0001, 0.00456, 0.01, 0.333, 1)] == [
        "0%",
        "0.01%",
        "0.46%",
        "1%",
        "33%",
        "100%",
    ]


def test_only_the_largest_changes_of_many_values_are_printed(tmp_path):
    many_values(tmp_path, 50)
    write_yaml(tmp_path / "config.yaml", topic_config(topics=[f"t{one}" for one in range(50)]))

    result = gym(
        *refine_words((tmp_path / "run.jsonl", tmp_path / "config.yaml", tmp_path / "n.yaml", tmp_path))
    )

    assert result.exit_code == 0, result.output
    assert result.stdout.count("->") == 21
    assert "and 30 values that change less" in result.stdout


def test_a_page_has_the_same_text_in_both_formats(tmp_path):
    page = Page("A & B", blocks=[Paragraph("One."), Table(["x", "y"], [["1", "2|3"]], frozenset({0}))])

    write_page(page, tmp_path / "folder")

    assert "<h1>A &amp; B</h1>" in (tmp_path / "folder" / "report.html").read_text()
    assert "| ---: | --- |\n| 1 | 2\\|3 |" in (tmp_path / "folder" / "report.md").read_text()


def test_numbers_with_many_values_are_shown_in_ranges(tmp_path):
    rows = [
        row for task in range(40) for row in task_rows(task, ["right", "no"][: 1 + task % 2], length=task)
    ]
    config = topic_config()
    config["data_designer"]["columns"].append(
        {
            "name": "length",
            "column_type": "sampler",
            "sampler_type": "uniform",
            "params": {"low": 0, "high": 40},
        }
    )
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic", "length"])

    page = refinement_page(evidence, refine(config, evidence))

    assert "30 to 39" in page.html()


def test_weights_under_conditions_are_a_table(tmp_path):
    rows = []
    for item, is_solved in [("a", 1), ("b", 0)]:
        for _ in range(8):
            rows += task_rows(len(rows) // 2, ["right" if is_solved else "no"] * 2, topic="easy", item=item)
    item = {
        "name": "item",
        "column_type": "sampler",
        "sampler_type": "subcategory",
        "params": {"category": "topic", "values": {"easy": ["a", "b"]}},
    }
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic", "item"])

    text = refinement_page(evidence, refine(topic_config(item, topics=["easy"]), evidence)).markdown()

    assert '| item | topic == "easy" | b 50% → ' in text


def test_a_suspected_label_is_named(tmp_path):
    rows = [row for task in range(8) for row in task_rows(task, ["right"] * 3, topic="easy")]
    rows += task_rows(8, ["seven"] * 3, topic="hard")
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic"])

    text = refinement_page(evidence, refine(topic_config(), evidence)).markdown()

    assert "| 8 | Question 8? | right | seven |" in text


def test_bars_end_where_their_share_does():
    half = charts.shares([charts.Share("a", 0.5)], "t")
    whole = charts.shares([charts.Share("a", 1.0)], "t")

    widths = [float(re.findall(r"<rect [^>]*width='([\d.]+)'", svg)[0]) for svg in (half, whole)]
    assert widths[0] * 2 == pytest.approx(widths[1])


def test_labels_of_lines_that_end_at_the_same_place_do_not_overlap():
    svg = charts.lines({"a": [0.5, 0.5], "b": [0.4, 0.5]}, ["1", "2"], "t", "axis")

    ends = [float(y) for y in re.findall(r"y='([\d.]+)' font-size='13'", svg)]
    assert abs(ends[0] - ends[1]) >= 15


def test_advise_says_where_nothing_is_simulated(files):
    result = gym("data-designer", "advise", files[1])

    assert result.exit_code == 0
    assert "No column simulates" in result.output
