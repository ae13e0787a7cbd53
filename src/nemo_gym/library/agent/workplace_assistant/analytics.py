"""Visits to the company's website."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import ToolError, tool
from nemo_gym.library.agent.workplace_assistant.data import TRAFFIC_SOURCES, Row, base
from nemo_gym.library.agent.workplace_assistant.fields import between, day, first_results, one_of
from nemo_gym.library.agent.workplace_assistant.state import office_of

PLOT_VALUES: Final = (
    "total_visits",
    "engaged_users",
    "average_session_duration",
    *(f"visits_{source}" for source in TRAFFIC_SOURCES),
)
PLOT_TYPES: Final = ("bar", "line", "scatter", "histogram")


class AnalyticsTools:
    @tool
    def analytics_get_visitor_information_by_id(self, visitor_id: str) -> dict[str, Any]:
        """Return the visits of one visitor; the earliest come first, at most 5 are shown.

        Args:
            visitor_id: Eight digits.
        """
        visits = [visit for visit in base().visits if visit["visitor_id"] == visitor_id]
        if not visits:
            raise ToolError(
                f"There is no visitor {visitor_id[:40]!r}. Ids have eight digits, like '00000042'."
            )
        return first_results(visits)

    @tool
    def analytics_create_plot(
        self, session: Session, time_min: str, time_max: str, value_to_plot: str, plot_type: str
    ) -> str:
        """Draw a chart over a range of days and save it as a file.

        The values are total_visits, engaged_users, average_session_duration, visits_direct, visits_search,
        visits_social and visits_referral.

        Args:
            time_min: First day, YYYY-MM-DD.
            time_max: Last day, YYYY-MM-DD, included.
            value_to_plot: One of the values named above.
            plot_type: bar, line, scatter or histogram.
        """
        first, last = day(time_min, "time_min"), day(time_max, "time_max")
        if last < first:
            raise ToolError(f"time_min {first} is after time_max {last}.")
        value = one_of(PLOT_VALUES)(value_to_plot, "value_to_plot")
        kind = one_of(PLOT_TYPES)(plot_type, "plot_type")
        path = f"plots/{first}_{last}_{value}_{kind}.png"
        office_of(session).plots.add({"file_path": path})
        return f"Saved as {path}."

    @tool
    def analytics_total_visits_count(self, time_min: str = "", time_max: str = "") -> dict[str, Any]:
        """Count the visits in a range of days, in all and by day.

        Args:
            time_min: First day, YYYY-MM-DD; may be empty.
            time_max: Last day, YYYY-MM-DD, included; may be empty.
        """
        return _counts(_visits(time_min, time_max))

    @tool
    def analytics_engaged_users_count(self, time_min: str = "", time_max: str = "") -> dict[str, Any]:
        """Count the visits of engaged users in a range of days, in all and by day.

        Args:
            time_min: First day, YYYY-MM-DD; may be empty.
            time_max: Last day, YYYY-MM-DD, included; may be empty.
        """
        return _counts([visit for visit in _visits(time_min, time_max) if visit["user_engaged"] == "true"])

    @tool
    def analytics_traffic_source_count(
        self, traffic_source: str, time_min: str = "", time_max: str = ""
    ) -> dict[str, Any]:
        """Count the visits that came from one source in a range of days, in all and by day.

        Args:
            traffic_source: direct, search, social or referral.
            time_min: First day, YYYY-MM-DD; may be empty.
            time_max: Last day, YYYY-MM-DD, included; may be empty.
        """
        source = one_of(TRAFFIC_SOURCES)(traffic_source, "traffic_source")
        return _counts([visit for visit in _visits(time_min, time_max) if visit["traffic_source"] == source])

    @tool
    def analytics_get_average_session_duration(
        self, time_min: str = "", time_max: str = ""
    ) -> dict[str, float | None]:
        """Return the average length of a visit in a range of days, in seconds; null when there was no visit.

        Args:
            time_min: First day, YYYY-MM-DD; may be empty.
            time_max: Last day, YYYY-MM-DD, included; may be empty.
        """
        seconds = [int(visit["session_duration_seconds"]) for visit in _visits(time_min, time_max)]
        return {"average_seconds": round(sum(seconds) / len(seconds), 1) if seconds else None}


def _visits(time_min: str, time_max: str) -> list[Row]:
    in_range = between(time_min, time_max, ("time_min", "time_max"))
    return [visit for visit in base().visits if in_range(visit["date_of_visit"])]


def _counts(visits: list[Row]) -> dict[str, Any]:
    return {"total": len(visits), "by_day": Counter(visit["date_of_visit"] for visit in visits)}
