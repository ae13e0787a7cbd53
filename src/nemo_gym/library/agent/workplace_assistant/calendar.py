"""The calendar."""

from __future__ import annotations

from typing import Any, Final

from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import tool
from nemo_gym.library.agent.workplace_assistant.fields import (
    Check,
    address,
    between,
    check_all,
    first_results,
    known_field,
    matching,
    minutes,
    moment,
    text,
)
from nemo_gym.library.agent.workplace_assistant.state import office_of

FIELDS: Final[dict[str, Check]] = {
    "event_name": text,
    "participant_email": address,
    "event_start": moment,
    "duration": minutes,
}


class CalendarTools:
    @tool
    def calendar_get_event_information_by_id(
        self, session: Session, event_id: str, field: str
    ) -> dict[str, str]:
        """Return one field of a calendar event.

        Args:
            event_id: Eight digits.
            field: event_id, event_name, participant_email, event_start or duration.
        """
        event = office_of(session).calendar_events[event_id]
        return {field: event[known_field(field, event)]}

    @tool
    def calendar_search_events(
        self, session: Session, query: str = "", time_min: str = "", time_max: str = ""
    ) -> dict[str, Any]:
        """Search the calendar; the earliest come first, at most 5 are shown.

        Args:
            query: Words that must all occur in the name or the participant's address; empty for all events.
            time_min: Earliest start, YYYY-MM-DD HH:MM:SS; may be empty.
            time_max: Latest start, YYYY-MM-DD HH:MM:SS; may be empty.
        """
        match = matching(query)
        in_range = between(time_min, time_max, ("time_min", "time_max"))
        events = [
            event
            for event in office_of(session).calendar_events
            if in_range(event["event_start"]) and match((event["event_name"], event["participant_email"]))
        ]
        events.sort(key=lambda event: (event["event_start"], event["event_id"]))
        return first_results(events)

    @tool
    def calendar_create_event(
        self, session: Session, event_name: str, participant_email: str, event_start: str, duration: str
    ) -> str:
        """Put a new event into the calendar.

        Args:
            event_name: What it is called.
            participant_email: Address of the other person.
            event_start: YYYY-MM-DD HH:MM:SS.
            duration: Minutes, digits only.
        """
        values = {
            "event_name": event_name,
            "participant_email": participant_email,
            "event_start": event_start,
            "duration": duration,
        }
        event_id = office_of(session).calendar_events.add(check_all(FIELDS, values))
        return f"Event {event_id} created."

    @tool
    def calendar_delete_event(self, session: Session, event_id: str) -> str:
        """Delete a calendar event.

        Args:
            event_id: Eight digits.
        """
        office_of(session).calendar_events.remove(event_id)
        return f"Event {event_id} deleted."

    @tool
    def calendar_update_event(self, session: Session, event_id: str, field: str, new_value: str) -> str:
        """Change one field of a calendar event.

        Args:
            event_id: Eight digits.
            field: event_name, participant_email, event_start or duration.
            new_value: What the field should hold.
        """
        check = FIELDS[known_field(field, FIELDS)]
        office_of(session).calendar_events.update(event_id, field, check(new_value, field))
        return f"Event {event_id} updated."
