"""The templates of tasks. A task has exactly one right end state, which its template computes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final, TypeAlias

from nemo_gym.library.agent.workplace_assistant.analytics import PLOT_TYPES, PLOT_VALUES
from nemo_gym.library.agent.workplace_assistant.data import (
    BOARDS,
    LISTS,
    MY_EMAIL,
    NOW,
    PRODUCTS,
    STATUSES,
    TODAY,
    TRAFFIC_SOURCES,
    Row,
    base,
)
from nemo_gym.library.agent.workplace_assistant.fields import RESULT_LIMIT

Call: TypeAlias = tuple[str, dict[str, str]]
"""A tool's name and its arguments."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A task before it becomes a row."""

    prompt: str
    calls: list[Call]
    """The calls that do the task, or that answer the question."""
    expected_text: str | None = None
    """The answer to a question, which must be the last line of the reply."""


Template: TypeAlias = Callable[[random.Random], Draft]


def send_email(rng: random.Random) -> Draft:
    address, name = rng.choice(_people())
    subject, body = rng.choice(_SUBJECTS), rng.choice(_BODIES)
    prompt = rng.choice(
        (
            f"Send {name} an email with the subject '{subject}' and the text '{body}'",
            f"Write to {name}. The subject is '{subject}', the text '{body}'",
        )
    )
    return Draft(prompt, [_send(address, subject, body)])


def reply_to_latest_email(rng: random.Random) -> Draft:
    address, name = rng.choice(_people())
    email, body = _latest_email(address), rng.choice(_BODIES)
    prompt = f"Reply to the latest email that {name} sent me with the text '{body}'"
    return Draft(prompt, [("email_reply_email", {"email_id": email["email_id"], "body": body})])


def delete_latest_email(rng: random.Random) -> Draft:
    address, name = rng.choice(_people())
    prompt = rng.choice(
        (f"Delete the latest email I got from {name}.", f"The last email from {name} to me can be deleted.")
    )
    return Draft(prompt, [("email_delete_email", {"email_id": _latest_email(address)["email_id"]})])


def forward_latest_email(rng: random.Random) -> Draft:
    (author, author_name), (reader, reader_name) = rng.sample(_people(), 2)
    prompt = f"Find the latest email {author_name} sent me and forward it to {reader_name}."
    return Draft(prompt, [_forward(_latest_email(author), reader)])


def delete_recent_emails(rng: random.Random) -> Draft:
    address, name = rng.choice(_people())
    emails = _emails_from(address)
    day = emails[-rng.randint(1, min(RESULT_LIMIT, len(emails)))]["sent_datetime"][:10]
    recent = [email for email in emails if email["sent_datetime"] >= day]
    prompt = f"Delete every email I received from {name} on or after {_spell(rng, day)}."
    return Draft(prompt, [("email_delete_email", {"email_id": email["email_id"]}) for email in recent])


def create_event(rng: random.Random) -> Draft:
    address, name = rng.choice(_people())
    title, day, time, duration = (
        rng.choice(_TITLES),
        _coming_day(rng),
        rng.choice(_TIMES),
        rng.choice(_DURATIONS),
    )
    prompt = rng.choice(
        (
            f"Set up a meeting called '{title}' with {name} on {_spell(rng, day)} at {time} "
            f"for {duration} minutes.",
            f"Put '{title}' with {name} into my calendar: {_spell(rng, day)}, {time}, {duration} minutes.",
        )
    )
    return Draft(prompt, [_event(title, address, f"{day} {time}:00", duration)])


def cancel_next_meeting(rng: random.Random) -> Draft:
    address, name = rng.choice(_people_to_meet())
    return Draft(f"Cancel my next meeting with {name}.", [_cancel(_next_event(address))])


def move_next_meeting(rng: random.Random) -> Draft:
    address, name = rng.choice(_people_to_meet())
    day, time = _coming_day(rng), rng.choice(_TIMES)
    prompt = f"Move my next meeting with {name} to {_spell(rng, day)} at {time}."
    return Draft(prompt, [_change_event(_next_event(address), "event_start", f"{day} {time}:00")])


def resize_next_meeting(rng: random.Random) -> Draft:
    address, name = rng.choice(_people_to_meet())
    event = _next_event(address)
    duration = rng.choice([minutes for minutes in _DURATIONS if minutes != event["duration"]])
    prompt = f"Change my next meeting with {name} so that it takes {duration} minutes."
    return Draft(prompt, [_change_event(event, "duration", duration)])


def clear_day(rng: random.Random) -> Draft:
    counts = Counter(event["event_start"][:10] for event in base().calendar_events.values())
    days = [day for day, count in counts.items() if day > TODAY and count <= RESULT_LIMIT]
    day = rng.choice(days)
    events = [event for event in base().calendar_events.values() if event["event_start"].startswith(day)]
    prompt = f"I am ill on {_spell(rng, day)}. Cancel all my meetings of that day."
    return Draft(prompt, list(map(_cancel, events)))


def plot(rng: random.Random) -> Draft:
    first, last = _past_days(rng)
    value, kind = rng.choice(PLOT_VALUES), rng.choice(PLOT_TYPES)
    what = (
        value.replace("_", " ")
        if not value.startswith("visits_")
        else f"visits from the source '{value[7:]}'"
    )
    prompt = f"Make a {kind} plot of the {what} from {_spell(rng, first)} to {_spell(rng, last)}."
    return Draft(prompt, [_plot(first, last, value, kind)])


def plot_depending_on_visits(rng: random.Random) -> Draft:
    while True:
        first, last = _past_days(rng)
        one, other = rng.sample(TRAFFIC_SOURCES, 2)
        visits, others = (_visits(first, last, traffic_source=source) for source in (one, other))
        if visits != others:
            break
    prompt = (
        f"If more visits came from {one} than from {other} between {_spell(rng, first)} and "
        f"{_spell(rng, last)}, both days included, make a bar plot of the total visits over these days. "
        f"Otherwise make it a line plot."
    )
    return Draft(prompt, [_plot(first, last, "total_visits", "bar" if visits > others else "line")])


def count_visits(rng: random.Random) -> Draft:
    first, last = _past_days(rng)
    days = {"time_min": first, "time_max": last}
    source = rng.choice(TRAFFIC_SOURCES)
    kind, visits, call = rng.choice(
        (
            ("visits", _visits(first, last), ("analytics_total_visits_count", days)),
            (
                "visits of engaged users",
                _visits(first, last, user_engaged="true"),
                ("analytics_engaged_users_count", days),
            ),
            (
                f"visits from the source '{source}'",
                _visits(first, last, traffic_source=source),
                ("analytics_traffic_source_count", {"traffic_source": source, **days}),
            ),
        )
    )
    prompt = (
        f"How many {kind} did our website have from {_spell(rng, first)} to {_spell(rng, last)}, both days "
        "included? End your reply with a line that holds nothing but the number."
    )
    return Draft(prompt, [call], expected_text=str(visits))


def create_task(rng: random.Random) -> Draft:
    address, name = rng.choice(_people())
    values = {
        "task_name": rng.choice(_NEW_TASKS),
        "assigned_to_email": address,
        "list_name": rng.choice(LISTS[:2]),
        "due_date": _coming_day(rng),
        "board": rng.choice(BOARDS),
    }
    prompt = (
        f"Create a task '{values['task_name']}' for {name} in the list '{values['list_name']}' of the board "
        f"'{values['board']}'. It is due on {_spell(rng, values['due_date'])}."
    )
    return Draft(prompt, [("project_management_create_task", values)])


def move_task(rng: random.Random) -> Draft:
    task = rng.choice(_tasks())
    target = rng.choice([name for name in LISTS if name != task["list_name"]])
    prompt = f"Move the project task '{task['task_name']}' to the list '{target}'."
    return Draft(prompt, [_change_task(task, "list_name", target)])


def postpone_task(rng: random.Random) -> Draft:
    task, days = rng.choice(_tasks()), rng.randint(2, 14)
    due = (date.fromisoformat(task["due_date"]) + timedelta(days=days)).isoformat()
    prompt = f"The project task '{task['task_name']}' needs {days} more days. Move its due date by that."
    return Draft(prompt, [_change_task(task, "due_date", due)])


def hand_over_overdue_tasks(rng: random.Random) -> Draft:
    counts = Counter(task["assigned_to_email"] for task in _tasks() if _is_overdue(task))
    giver, name = rng.choice([who for who in _people() if 1 <= counts[who[0]] <= RESULT_LIMIT])
    taker, taker_name = rng.choice([who for who in _people() if who[0] != giver])
    late = [task for task in _tasks() if task["assigned_to_email"] == giver and _is_overdue(task)]
    prompt = (
        f"Give all overdue tasks of {name} to {taker_name}. Overdue means that the due date is before today "
        "and the task is not in the list 'Done'."
    )
    return Draft(prompt, [_change_task(task, "assigned_to_email", taker) for task in late])


def delete_task(rng: random.Random) -> Draft:
    task = rng.choice(_tasks())
    prompt = f"We dropped the project task '{task['task_name']}'. Delete it."
    return Draft(prompt, [("project_management_delete_task", {"task_id": task["task_id"]})])


def find_due_date(rng: random.Random) -> Draft:
    task = rng.choice(_tasks())
    prompt = (
        f"When is the project task '{task['task_name']}' due? End your reply with a line that holds nothing "
        "but the date as YYYY-MM-DD."
    )
    call = ("project_management_search_tasks", {"task_name": task["task_name"]})
    return Draft(prompt, [call], expected_text=task["due_date"])


def add_customer(rng: random.Random) -> Draft:
    address, name = rng.choice(_people())
    values = {
        "customer_name": f"{rng.choice(_NEW_FIRST_NAMES)} {rng.choice(_NEW_LAST_NAMES)}",
        "assigned_to_email": address,
        "status": rng.choice(STATUSES[:2]),
        "product_interest": rng.choice(PRODUCTS),
    }
    prompt = (
        f"Add a new customer, {values['customer_name']}, who is interested in '{values['product_interest']}' "
        f"and has the status '{values['status']}'. {name} looks after them. Leave everything else empty."
    )
    return Draft(prompt, [("customer_relationship_manager_add_customer", values)])


def set_customer_status(rng: random.Random) -> Draft:
    customer = rng.choice(_customers())
    status = rng.choice([name for name in STATUSES if name != customer["status"]])
    prompt = f"Set the status of the customer {customer['customer_name']} to '{status}'."
    return Draft(prompt, [_change_customer(customer, "status", status)])


def hand_over_customers(rng: random.Random) -> Draft:
    counts = Counter((row["assigned_to_email"], row["status"]) for row in _customers())
    giver, status = rng.choice([pair for pair, count in counts.items() if count <= RESULT_LIMIT])
    taker, taker_name = rng.choice([who for who in _people() if who[0] != giver])
    customers = [row for row in _customers() if (row["assigned_to_email"], row["status"]) == (giver, status)]
    name = base().directory[giver]
    prompt = (
        f"{taker_name} takes over all customers of {name} that have the status '{status}'. "
        "Change the customer list accordingly."
    )
    return Draft(prompt, [_change_customer(row, "assigned_to_email", taker) for row in customers])


def delete_customer(rng: random.Random) -> Draft:
    customer = rng.choice(_customers())
    prompt = f"Remove {customer['customer_name']} from the customer list."
    return Draft(
        prompt, [("customer_relationship_manager_delete_customer", {"customer_id": customer["customer_id"]})]
    )


def email_owner_of_task(rng: random.Random) -> Draft:
    task = rng.choice([task for task in _tasks() if task["assigned_to_email"] != MY_EMAIL])
    subject, body = rng.choice(_SUBJECTS), rng.choice(_BODIES)
    prompt = (
        f"Write an email to the person the project task '{task['task_name']}' is assigned to. "
        f"Subject: '{subject}'. Text: '{body}'"
    )
    return Draft(prompt, [_send(task["assigned_to_email"], subject, body)])


def meet_about_customer(rng: random.Random) -> Draft:
    customer = rng.choice(_customers())
    title, day, time, duration = (
        rng.choice(_TITLES),
        _coming_day(rng),
        rng.choice(_TIMES),
        rng.choice(_DURATIONS),
    )
    prompt = (
        f"Set up a {duration}-minute meeting called '{title}' on {_spell(rng, day)} at {time} with the "
        f"colleague who looks after the customer {customer['customer_name']}."
    )
    return Draft(prompt, [_event(title, customer["assigned_to_email"], f"{day} {time}:00", duration)])


def forward_to_owner_of_customer(rng: random.Random) -> Draft:
    customer = rng.choice(_customers())
    owner = customer["assigned_to_email"]
    author, name = rng.choice([who for who in _people() if who[0] != owner])
    prompt = (
        f"Forward the latest email I got from {name} to the colleague who looks after the customer "
        f"{customer['customer_name']}."
    )
    return Draft(prompt, [_forward(_latest_email(author), owner)])


def cancel_and_explain(rng: random.Random) -> Draft:
    address, name = rng.choice(_people_to_meet())
    body = rng.choice(_BODIES)
    prompt = (
        f"Cancel my next meeting with {name} and send them an email with the subject 'Our meeting' and "
        f"the text '{body}'"
    )
    return Draft(prompt, [_cancel(_next_event(address)), _send(address, "Our meeting", body)])


TEMPLATES: Final[dict[str, tuple[Template, ...]]] = {
    "email": (
        send_email,
        reply_to_latest_email,
        delete_latest_email,
        forward_latest_email,
        delete_recent_emails,
    ),
    "calendar": (
        create_event,
        cancel_next_meeting,
        move_next_meeting,
        resize_next_meeting,
        clear_day,
    ),
    "analytics": (plot, plot_depending_on_visits, count_visits),
    "project_management": (
        create_task,
        move_task,
        postpone_task,
        hand_over_overdue_tasks,
        delete_task,
        find_due_date,
    ),
    "customer_relationship_manager": (
        add_customer,
        set_customer_status,
        hand_over_customers,
        delete_customer,
    ),
    "multi_domain": (
        email_owner_of_task,
        meet_about_customer,
        forward_to_owner_of_customer,
        cancel_and_explain,
    ),
}
"""Every template, by the category of its tasks."""

_SUBJECTS = (
    "Printer on floor two", "Lunch on Thursday", "Team photo", "Parking", "Numbers for March",
    "New coffee machine", "Your slides", "Access to the archive", "Visit from Oslo", "Short question",
    "Draft for the newsletter", "Change of plan", "Room for the workshop", "Thank you",
)  # fmt: skip
_BODIES = (
    "I will be ten minutes late.", "Please send me the final version today.", "Thanks, that works for me.",
    "Let us talk about it next week.", "Can you take this over?", "The numbers are correct now.",
    "I moved the files to the archive.", "Please do not wait for me.", "We need one more signature.",
    "The room is booked from nine to five.", "I agree with everything on page three.",
    "Could you check the address once more?", "Everything is ready for the visit.",
)  # fmt: skip
_TITLES = (
    "Press plan", "Supplier visit", "Backlog cleanup", "Budget questions", "Kick-off", "Demo", "Tax forms",
    "Warehouse tour", "Logo choice", "Year in numbers",
)  # fmt: skip
_NEW_TASKS = (
    "Write the March report", "Order new laptops", "Check the cookie banner", "Rename the pricing plans",
    "Draw the network diagram", "Call the hosting company", "Collect customer quotes", "Sort the old tickets",
)  # fmt: skip
_NEW_FIRST_NAMES = ("Aurelia", "Benedikt", "Celeste", "Dimitri", "Eleni", "Fabian", "Greta", "Hector")
_NEW_LAST_NAMES = ("Albrecht", "Bonnet", "Cardoso", "Delgado", "Engel", "Fiore", "Grimaldi", "Haas")
_TIMES = tuple(f"{hour:02d}:{half}" for hour in range(9, 17) for half in ("00", "30"))
_DURATIONS = ("30", "45", "60", "90")


@cache
def _people() -> tuple[tuple[str, str], ...]:
    """The address and the name of everyone in the directory except the user."""
    return tuple(who for who in base().directory.items() if who[0] != MY_EMAIL)


@cache
def _people_to_meet() -> tuple[tuple[str, str], ...]:
    coming = {row["participant_email"] for row in base().calendar_events.values() if row["event_start"] > NOW}
    return tuple(who for who in _people() if who[0] in coming)


@cache
def _tasks() -> tuple[Row, ...]:
    return tuple(base().project_tasks.values())


@cache
def _customers() -> tuple[Row, ...]:
    return tuple(base().customers.values())


def _emails_from(address: str) -> list[Row]:
    emails = [row for row in base().emails.values() if row["folder"] == "inbox" and row["address"] == address]
    return sorted(emails, key=lambda row: row["sent_datetime"])


def _latest_email(address: str) -> Row:
    return _emails_from(address)[-1]


def _next_event(address: str) -> Row:
    events = base().calendar_events.values()
    coming = [row for row in events if row["participant_email"] == address and row["event_start"] > NOW]
    return min(coming, key=lambda row: row["event_start"])


def _is_overdue(task: Row) -> bool:
    return task["due_date"] < TODAY and task["list_name"] != "Done"


def _visits(first: str, last: str, **values: str) -> int:
    """The number of visits in a range of days with these values."""
    return sum(
        first <= visit["date_of_visit"] <= last
        and all(visit[column] == value for column, value in values.items())
        for visit in base().visits
    )


def _coming_day(rng: random.Random) -> str:
    days = (date.fromisoformat(TODAY) + timedelta(days=offset) for offset in range(1, 45))
    return rng.choice([day.isoformat() for day in days if day.weekday() < 5])


def _past_days(rng: random.Random) -> tuple[str, str]:
    start = date.fromisoformat(TODAY) - timedelta(days=rng.randint(20, 85))
    return start.isoformat(), (start + timedelta(days=rng.randint(3, 19))).isoformat()


def _spell(rng: random.Random, day: str) -> str:
    """The day in one of the forms in which people write it."""
    when = date.fromisoformat(day)
    return rng.choice((day, f"{when.day} {when:%B %Y}", f"{when:%A}, {when.day} {when:%B}"))


def _send(recipient: str, subject: str, body: str) -> Call:
    return "email_send_email", {"recipient": recipient, "subject": subject, "body": body}


def _forward(email: Row, recipient: str) -> Call:
    return "email_forward_email", {"email_id": email["email_id"], "recipient": recipient}


def _event(name: str, participant: str, start: str, duration: str) -> Call:
    return "calendar_create_event", {
        "event_name": name,
        "participant_email": participant,
        "event_start": start,
        "duration": duration,
    }


def _cancel(event: Row) -> Call:
    return "calendar_delete_event", {"event_id": event["event_id"]}


def _change_event(event: Row, field: str, value: str) -> Call:
    return "calendar_update_event", {"event_id": event["event_id"], "field": field, "new_value": value}


def _plot(first: str, last: str, value: str, kind: str) -> Call:
    return "analytics_create_plot", {
        "time_min": first,
        "time_max": last,
        "value_to_plot": value,
        "plot_type": kind,
    }


def _change_task(task: Row, field: str, value: str) -> Call:
    return "project_management_update_task", {
        "task_id": task["task_id"],
        "field": field,
        "new_value": value,
    }


def _change_customer(customer: Row, field: str, value: str) -> Call:
    return "customer_relationship_manager_update_customer", {
        "customer_id": customer["customer_id"],
        "field": field,
        "new_value": value,
    }
