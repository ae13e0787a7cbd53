import asyncio
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.environments.base import Golden
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.workplace_assistant.data import MY_EMAIL, TODAY, base
from nemo_gym.library.agent.workplace_assistant.environment import CHANGING_TOOLS, WorkplaceAssistant
from nemo_gym.library.agent.workplace_assistant.state import Office
from nemo_gym.library.agent.workplace_assistant.tasks import SPLITS
from nemo_gym.library.agent.workplace_assistant.templates import TEMPLATES
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.task import task_from_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle

LINK = LocalEnvironment(WorkplaceAssistant())
ENVIRONMENT = LINK.environment
EMPTY_ROW = {"ground_truth": []}
COLLEAGUE = next(address for address in base().directory if address != MY_EMAIL)

HAPPY = {
    "company_directory_find_email_address": {"name": "robin"},
    "email_get_email_information_by_id": {"email_id": "00000001", "field": "subject"},
    "email_search_emails": {"query": "budget", "date_min": "2025-01-15", "date_max": "2025-03-01"},
    "email_send_email": {"recipient": COLLEAGUE, "subject": "S", "body": "B"},
    "email_delete_email": {"email_id": "00000500"},
    "email_forward_email": {"email_id": "00000001", "recipient": COLLEAGUE},
    "email_reply_email": {"email_id": "00000001", "body": "B"},
    "calendar_get_event_information_by_id": {"event_id": "00000300", "field": "event_start"},
    "calendar_search_events": {
        "query": "review",
        "time_min": "2025-03-12 09:00:00",
        "time_max": "2025-04-01",
    },
    "calendar_create_event": {
        "event_name": "Demo",
        "participant_email": COLLEAGUE,
        "event_start": "2025-03-14 09:00:00",
        "duration": "30",
    },
    "calendar_delete_event": {"event_id": "00000001"},
    "calendar_update_event": {"event_id": "00000001", "field": "duration", "new_value": "120"},
    "analytics_get_visitor_information_by_id": {"visitor_id": base().visits[0]["visitor_id"]},
    "analytics_create_plot": {
        "time_min": "2025-02-01",
        "time_max": "2025-02-28",
        "value_to_plot": "visits_search",
        "plot_type": "bar",
    },
    "analytics_total_visits_count": {"time_min": "2025-02-01", "time_max": "2025-02-28"},
    "analytics_engaged_users_count": {"time_min": "2025-02-01"},
    "analytics_traffic_source_count": {"traffic_source": "social"},
    "analytics_get_average_session_duration": {},
    "project_management_get_task_information_by_id": {"task_id": "00000007", "field": "board"},
    "project_management_search_tasks": {"board": "Website", "list_name": "Doing"},
    "project_management_create_task": {
        "task_name": "New task",
        "assigned_to_email": COLLEAGUE,
        "list_name": "To do",
        "due_date": "2025-03-20",
        "board": "Website",
    },
    "project_management_delete_task": {"task_id": "00000007"},
    "project_management_update_task": {"task_id": "00000007", "field": "due_date", "new_value": "2025-12-24"},
    "customer_relationship_manager_search_customers": {"status": "Won", "follow_up_by_min": "2025-03-12"},
    "customer_relationship_manager_update_customer": {
        "customer_id": "00000001",
        "field": "notes",
        "new_value": "Likes tea.",
    },
    "customer_relationship_manager_add_customer": {
        "customer_name": "Ada Quill",
        "assigned_to_email": COLLEAGUE,
        "status": "Lead",
    },
    "customer_relationship_manager_delete_customer": {"customer_id": "00000200"},
}

WRONG = [
    ("company_directory_find_email_address", {"name": " "}, "name must not be empty"),
    ("email_get_email_information_by_id", {"email_id": "1", "field": "subject"}, "email_id '1'"),
    ("email_get_email_information_by_id", {"email_id": "00000001", "field": "colour"}, "one of: email_id"),
    ("email_search_emails", {"date_min": "yesterday"}, "date_min: 'yesterday'"),
    ("email_search_emails", {"date_min": "2025-02-02", "date_max": "2025-02-01"}, "is after date_max"),
    ("email_send_email", {"recipient": "Anna", "subject": "S", "body": "B"}, "not an email address"),
    ("email_send_email", {"recipient": COLLEAGUE, "subject": "", "body": "B"}, "subject must not be empty"),
    ("email_delete_email", {"email_id": "00000501"}, "No record has the email_id '00000501'"),
    ("email_forward_email", {"email_id": "00000001", "recipient": "a@b, c@d"}, "Write one address"),
    ("email_reply_email", {"email_id": "x", "body": "B"}, "email_id 'x'"),
    ("calendar_get_event_information_by_id", {"event_id": "", "field": "duration"}, "event_id ''"),
    ("calendar_search_events", {"time_max": "2025-02-30"}, "time_max: '2025-02-30'"),
    ("calendar_create_event", HAPPY["calendar_create_event"] | {"duration": "1 hour"}, "number of minutes"),
    ("calendar_create_event", HAPPY["calendar_create_event"] | {"event_start": "noon"}, "not a date or time"),
    ("calendar_delete_event", {"event_id": "00000999"}, "event_id '00000999'"),
    (
        "calendar_update_event",
        {"event_id": "00000001", "field": "event_id", "new_value": "1"},
        "field: 'event_id'",
    ),
    ("analytics_get_visitor_information_by_id", {"visitor_id": "7"}, "no visitor '7'"),
    ("analytics_create_plot", HAPPY["analytics_create_plot"] | {"plot_type": "pie"}, "bar, line, scatter"),
    ("analytics_create_plot", HAPPY["analytics_create_plot"] | {"value_to_plot": "x"}, "total_visits"),
    ("analytics_create_plot", HAPPY["analytics_create_plot"] | {"time_max": "2024-01-01"}, "is after"),
    ("analytics_total_visits_count", {"time_min": "x"}, "time_min"),
    ("analytics_engaged_users_count", {"time_max": "x"}, "time_max"),
    ("analytics_traffic_source_count", {"traffic_source": "radio"}, "direct, search, social, referral"),
    ("analytics_get_average_session_duration", {"time_min": "2025-13-01"}, "time_min"),
    ("project_management_get_task_information_by_id", {"task_id": "0", "field": "board"}, "task_id '0'"),
    ("project_management_search_tasks", {}, "Give at least one of: task_name"),
    (
        "project_management_create_task",
        HAPPY["project_management_create_task"] | {"list_name": "todo"},
        "To do, Doing",
    ),
    (
        "project_management_create_task",
        HAPPY["project_management_create_task"] | {"assigned_to_email": "a@b.example"},
        "nobody's address",
    ),
    ("project_management_delete_task", {"task_id": "00000301"}, "task_id '00000301'"),
    (
        "project_management_update_task",
        {"task_id": "00000007", "field": "board", "new_value": "website"},
        "Website, Mobile app",
    ),
    ("customer_relationship_manager_search_customers", {}, "Give at least one of: customer_name"),
    (
        "customer_relationship_manager_update_customer",
        {"customer_id": "00000001", "field": "status", "new_value": "won"},
        "Lead, Contacted",
    ),
    (
        "customer_relationship_manager_add_customer",
        HAPPY["customer_relationship_manager_add_customer"] | {"product_interest": "Rockets"},
        "Planner, Inventory",
    ),
    ("customer_relationship_manager_delete_customer", {"customer_id": "00000201"}, "'00000201'"),
]


def call(name, /, **arguments):
    return function_call(name, json.dumps(arguments), call_id="c")


def truth(*calls):
    return {"ground_truth": [{"name": item["name"], "arguments": item["arguments"]} for item in calls]}


def use(*calls):
    """What the tools say to these calls in one session, and the office they leave."""

    async def run():
        async with LINK.session(EMPTY_ROW) as session:
            said = [await LINK.call(session, item) for item in calls]
            return [json.loads(text) if text[0] in "{[" else text for text in said], session.state["office"]

    return asyncio.run(run())


def changed_tables(office):
    return office.differing_tables(Office())


# Tasks


def test_the_oracle_earns_the_full_reward_and_doing_nothing_earns_none():
    rows = [row for split in SPLITS for row in ENVIRONMENT.tasks(split, 3, 60)]
    assert len(rows) == 240
    for row in rows:
        assert play_oracle(LINK, row).value == 1.0, row
        assert play(LINK, row, "That is done.").value == 0.0, row


def test_every_ground_truth_call_works():
    for row in ENVIRONMENT.tasks("train", 1, 300):
        said, office = use(
            *(function_call(c["name"], c["arguments"], call_id="c") for c in row["ground_truth"])
        )
        assert not any("error" in answer for answer in said), row
        assert bool(changed_tables(office)) != ("expected_text" in row), row


def test_every_template_and_category_is_used():
    rows = list(ENVIRONMENT.tasks("train", 0, None))
    assert len(rows) == SPLITS["train"]
    assert {row["category"] for row in rows} == set(TEMPLATES)
    assert sum(len(several) for several in TEMPLATES.values()) >= 12


def test_the_same_seed_gives_the_same_tasks_and_a_longer_run_only_adds_some():
    once = list(ENVIRONMENT.tasks("train", 5, 50))
    assert once == list(ENVIRONMENT.tasks("train", 5, 50))
    assert once[:20] == list(ENVIRONMENT.tasks("train", 5, 20))
    assert once != list(ENVIRONMENT.tasks("train", 6, 50))


def test_splits_share_no_task_even_for_different_seeds():
    keys = {
        split: {json.dumps(row["ground_truth"]) for row in ENVIRONMENT.tasks(split, seed, 150)}
        for seed, split in enumerate(SPLITS)
    }
    names = list(SPLITS)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            assert not keys[name] & keys[other], (name, other)


def test_no_task_is_given_twice_even_when_some_templates_run_out():
    rows = list(ENVIRONMENT.tasks("example", 0, 300))
    assert len({json.dumps(row["ground_truth"]) for row in rows}) == 300


def test_an_unknown_split_is_refused_by_name():
    with pytest.raises(UsageError, match=r"no split 'dev'; it has train, validation, test, example"):
        ENVIRONMENT.tasks("dev", 0, 1)


def test_rows_fit_the_task_type_and_state_the_date():
    row = next(iter(ENVIRONMENT.tasks("example", 0, 1)))
    task = task_from_row(row, ENVIRONMENT.Task)
    assert TODAY in task.responses_create_params["input"][0]["content"]


# Data


def test_the_base_has_its_promised_size():
    start = base()
    sizes = [len(start.emails), len(start.calendar_events), len(start.visits)]
    sizes += [len(start.project_tasks), len(start.customers)]
    assert sizes == [500, 300, 1000, 300, 200]


def test_nothing_a_task_refers_to_is_ambiguous():
    start = base()
    received = [row["sent_datetime"] for row in start.emails.values()]
    starts = [row["event_start"] for row in start.calendar_events.values()]
    names = [row["task_name"] for row in start.project_tasks.values()]
    people = [*start.directory.values(), *(row["customer_name"] for row in start.customers.values())]
    for values in (received, starts, names, people):
        assert len(set(values)) == len(values)


def test_the_base_does_not_depend_on_the_hash_seed():
    code = (
        "from nemo_gym.library.agent.workplace_assistant.environment import WorkplaceAssistant as W;"
        "from nemo_gym.library.agent.workplace_assistant.data import base; b = base();"
        "tables = (b.emails, b.calendar_events, b.project_tasks, b.customers);"
        "print([[dict(row) for row in t.values()] for t in tables], list(map(dict, b.visits)),"
        "list(W().tasks('train', 0, 60)))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


# Tools


def test_there_are_27_tools():
    async def names():
        async with LINK.session(EMPTY_ROW) as session:
            return [tool["name"] for tool in session.tools]

    assert sorted(asyncio.run(names())) == sorted(HAPPY)
    assert len(HAPPY) == 27


def test_all_tool_arguments_are_strings_with_a_description():
    async def schemas():
        async with LINK.session(EMPTY_ROW) as session:
            return [tool["parameters"]["properties"] for tool in session.tools]

    for properties in asyncio.run(schemas()):
        assert all(value["type"] == "string" and value["description"] for value in properties.values())


@pytest.mark.parametrize("name", HAPPY)
def test_a_good_call_works_and_only_a_changing_tool_changes_anything(name):
    (said,), office = use(call(name, **HAPPY[name]))
    assert "error" not in said
    assert bool(changed_tables(office)) == (name in CHANGING_TOOLS)


@pytest.mark.parametrize(("name", "arguments", "explanation"), WRONG)
def test_a_bad_call_says_what_is_wrong_and_changes_nothing(name, arguments, explanation):
    (said,), office = use(call(name, **arguments))
    assert explanation in said["error"]
    assert not changed_tables(office)


def test_every_tool_has_a_bad_call_in_these_tests():
    assert {name for name, _, _ in WRONG} == set(HAPPY)


def test_a_search_shows_five_records_and_counts_the_rest():
    (found,), _ = use(call("email_search_emails"))
    assert found["total"] == 500
    assert len(found["results"]) == 5
    assert found["results"][0]["sent_datetime"] == max(row["sent_datetime"] for row in base().emails.values())


def test_a_search_needs_all_words_and_ignores_case():
    (found,), _ = use(call("project_management_search_tasks", task_name="PAGE login fix"))
    assert [row["task_name"] for row in found["results"]] == ["Fix the login page"]


def test_a_date_as_upper_bound_includes_its_whole_day():
    day = base().calendar_events["00000200"]["event_start"][:10]
    (found,), _ = use(call("calendar_search_events", time_min=day, time_max=day))
    assert found["total"] == sum(day in row["event_start"] for row in base().calendar_events.values())


def test_an_email_can_be_sent_forwarded_and_answered():
    original = base().emails["00000001"]
    said, office = use(
        call("email_send_email", recipient=COLLEAGUE, subject="Hi", body="Text"),
        call("email_forward_email", email_id="00000001", recipient=COLLEAGUE),
        call("email_reply_email", email_id="00000001", body="Yes."),
    )
    assert said[0] == "Email 00000501 sent."
    sent, forwarded, reply = (office.emails[id] for id in ("00000501", "00000502", "00000503"))
    assert (sent["address"], sent["subject"], sent["folder"]) == (COLLEAGUE, "Hi", "outbox")
    assert (forwarded["subject"], forwarded["body"]) == (f"FW: {original['subject']}", original["body"])
    assert (reply["address"], reply["body"]) == (original["address"], "Yes.")


def test_what_was_changed_is_seen_by_later_calls():
    said, _ = use(
        call("calendar_update_event", event_id="00000001", field="event_name", new_value="Zebra talk"),
        call("calendar_create_event", **HAPPY["calendar_create_event"] | {"event_name": "Zebra visit"}),
        call("calendar_delete_event", event_id="00000002"),
        call("calendar_search_events", query="zebra"),
        call("calendar_get_event_information_by_id", event_id="00000002", field="event_name"),
    )
    assert [row["event_name"] for row in said[3]["results"]] == ["Zebra talk", "Zebra visit"]
    assert "error" in said[4]


def test_counts_agree_with_the_visits():
    whole, engaged, direct = use(
        call("analytics_total_visits_count"),
        call("analytics_engaged_users_count"),
        call("analytics_traffic_source_count", traffic_source="direct"),
    )[0]
    assert whole["total"] == sum(whole["by_day"].values()) == 1000
    assert engaged["total"] == sum(row["user_engaged"] == "true" for row in base().visits)
    assert direct["total"] == sum(row["traffic_source"] == "direct" for row in base().visits)


def test_a_range_without_visits_has_no_average():
    (said,), _ = use(call("analytics_get_average_session_duration", time_min="2030-01-01"))
    assert said == {"average_seconds": None}


HOSTILE = [
    "",
    "\0",
    "x" * 1_000_000,
    "a " * 100_000,
    "９" * 8,
    "'; DROP TABLE emails; --",
    "../../etc/passwd",
]


@pytest.mark.parametrize("name", HAPPY)
def test_hostile_arguments_never_break_a_tool(name):
    calls = [call(name, **dict.fromkeys(HAPPY[name], text)) for text in HOSTILE]
    calls += [function_call(name, text, call_id="c") for text in ("null", "[]", "{", "[" * 5000, '{"x": 1}')]
    said, _ = use(*calls)
    assert all(isinstance(answer, (str, dict)) and len(str(answer)) < 10_000 for answer in said)


@given(
    st.dictionaries(st.sampled_from(sorted({key for value in HAPPY.values() for key in value})), st.text())
)
def test_arbitrary_text_in_any_argument_gets_an_answer(arguments):
    use(*(call(name, **arguments) for name in HAPPY))
    use(
        *(
            call(name, **happy | {k: v for k, v in arguments.items() if k in happy})
            for name, happy in HAPPY.items()
        )
    )


# Sessions


def test_two_interleaved_sessions_do_not_see_each_other():
    async def interleave():
        async with LINK.session(EMPTY_ROW) as one, LINK.session(EMPTY_ROW) as two:
            await LINK.call(one, call("email_delete_email", email_id="00000001"))
            await LINK.call(two, call("email_send_email", recipient=COLLEAGUE, subject="S", body="B"))
            await LINK.call(one, call("calendar_delete_event", event_id="00000001"))
            return changed_tables(one.state["office"]), changed_tables(two.state["office"])

    assert asyncio.run(interleave()) == (["calendar_events", "emails"], ["emails"])
    assert not changed_tables(Office())
    assert "00000001" in base().emails


def test_a_record_that_was_added_and_removed_again_leaves_no_trace():
    said, office = use(
        call("email_send_email", recipient=COLLEAGUE, subject="S", body="B"),
        call("email_delete_email", email_id="00000501"),
        call("email_delete_email", email_id="00000501"),
        call("email_send_email", recipient=COLLEAGUE, subject="S", body="B"),
    )
    assert "error" in said[2]
    assert said[3] == "Email 00000501 sent."
    assert changed_tables(office) == ["emails"]


def test_a_change_that_is_taken_back_leaves_no_trace():
    before = base().customers["00000001"]["notes"]
    update = {"customer_id": "00000001", "field": "notes"}
    _, office = use(
        call("customer_relationship_manager_update_customer", **update, new_value="Other"),
        call("customer_relationship_manager_update_customer", **update, new_value=before),
    )
    assert not changed_tables(office)


# Scoring


@pytest.mark.parametrize("golden", ENVIRONMENT.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden: Golden):
    assert play_golden(LINK, golden).value == expected_reward(LINK, golden)


def test_failed_calls_are_passed_over_on_both_sides():
    delete = call("email_delete_email", email_id="00000001")
    bad = call("email_delete_email", email_id="99999999")
    broken = function_call("email_delete_email", "{", call_id="c")
    unknown = call("make_coffee", cups="2")
    assert play(LINK, truth(bad, broken, delete, unknown), [delete, unknown, bad, broken]).value == 1.0


def test_upper_and_lower_case_are_the_same_in_free_text():
    wanted = truth(call("email_send_email", recipient=COLLEAGUE, subject="Hello", body="See you"))
    sent = call("email_send_email", recipient=COLLEAGUE.upper(), subject="HELLO", body="see you")
    assert play(LINK, wanted, [sent]).value == 1.0


@pytest.mark.parametrize("column", ["status", "list_name", "board"])
def test_upper_and_lower_case_differ_in_the_columns_with_fixed_spellings(column):
    one, other = Office(), Office()
    table, key = ("customers", "customer_id") if column == "status" else ("project_tasks", "task_id")
    getattr(one, table).update("00000001", column, "Won")
    getattr(other, table).update("00000001", column, "won")
    assert one.differing_tables(other) == [table]
    for office in (one, other):
        getattr(office, table).update("00000001", column, "same")
    assert not one.differing_tables(other)
    assert getattr(one, table)["00000001"][key] == "00000001"


def test_an_extra_change_loses_the_reward_and_names_the_table():
    delete = call("email_delete_email", email_id="00000001")
    extra = call("analytics_create_plot", **HAPPY["analytics_create_plot"])
    reward = play(LINK, truth(delete), [delete, extra])
    assert (reward.value, reward.details["wrong_tables"]) == (0.0, ["plots"])


def test_a_plot_counts_by_its_days_value_and_type():
    wanted = call("analytics_create_plot", **HAPPY["analytics_create_plot"])
    same = call(
        "analytics_create_plot", **HAPPY["analytics_create_plot"] | {"time_min": "2025-02-01 00:00:00"}
    )
    line = call("analytics_create_plot", **HAPPY["analytics_create_plot"] | {"plot_type": "line"})
    assert play(LINK, truth(wanted), [same]).value == 1.0
    assert play(LINK, truth(wanted), [line]).value == 0.0


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        ("There were 37 visits.\n37", 1.0),
        ("**37**.", 1.0),
        ("37\nIs there anything else?", 0.0),
        ("There were 37 visits.", 0.0),
        ("137", 0.0),
        ("36, 37 or 38", 0.0),
        ("<think>37", 0.0),
        ("", 0.0),
    ],
)
def test_the_answer_to_a_question_is_the_last_line(answer, reward):
    assert play(LINK, {**EMPTY_ROW, "expected_text": "37"}, answer).value == reward


def test_a_right_answer_does_not_excuse_a_change():
    delete = call("email_delete_email", email_id="00000001")
    assert play(LINK, {**EMPTY_ROW, "expected_text": "37"}, [delete, assistant("37")]).value == 0.0


def test_a_very_long_trajectory_is_scored():
    send = call("email_send_email", recipient=COLLEAGUE, subject="S", body="B")
    delete = call("email_delete_email", email_id="00000501")
    assert play(LINK, truth(send), [*([send] * 1000), delete]).value == 0.0
