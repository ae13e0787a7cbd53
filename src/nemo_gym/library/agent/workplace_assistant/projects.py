"""The task boards."""

from __future__ import annotations

from typing import Any, Final

from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import ToolError, tool
from nemo_gym.library.agent.workplace_assistant.data import BOARDS, LISTS
from nemo_gym.library.agent.workplace_assistant.fields import (
    Check,
    check_all,
    colleague,
    conditions_of,
    day,
    first_results,
    known_field,
    one_of,
    text,
)
from nemo_gym.library.agent.workplace_assistant.state import office_of

FIELDS: Final[dict[str, Check]] = {
    "task_name": text,
    "assigned_to_email": colleague,
    "list_name": one_of(LISTS),
    "due_date": day,
    "board": one_of(BOARDS),
}


class ProjectTools:
    @tool
    def project_management_get_task_information_by_id(
        self, session: Session, task_id: str, field: str
    ) -> dict[str, str]:
        """Return one field of a project task.

        Args:
            task_id: Eight digits.
            field: task_id, task_name, assigned_to_email, list_name, due_date or board.
        """
        task = office_of(session).project_tasks[task_id]
        return {field: task[known_field(field, task)]}

    @tool
    def project_management_search_tasks(
        self,
        session: Session,
        task_name: str = "",
        assigned_to_email: str = "",
        list_name: str = "",
        due_date: str = "",
        board: str = "",
    ) -> dict[str, Any]:
        """Search the project tasks; all that is given must match. Earliest due first, at most 5 are shown.

        Args:
            task_name: Words that must all occur in the name.
            assigned_to_email: Address, or a part of it.
            list_name: To do, Doing, Review or Done.
            due_date: YYYY-MM-DD, or its beginning.
            board: Website, Mobile app, Data platform or Operations.
        """
        filters = {
            "task_name": task_name,
            "assigned_to_email": assigned_to_email,
            "list_name": list_name,
            "due_date": due_date,
            "board": board,
        }
        conditions = conditions_of(filters)
        if not conditions:
            raise ToolError(f"Give at least one of: {', '.join(filters)}.")
        tasks = [
            task
            for task in office_of(session).project_tasks
            if all(match([task[field]]) for field, match in conditions.items())
        ]
        tasks.sort(key=lambda task: (task["due_date"], task["task_id"]))
        return first_results(tasks)

    @tool
    def project_management_create_task(
        self,
        session: Session,
        task_name: str,
        assigned_to_email: str,
        list_name: str,
        due_date: str,
        board: str,
    ) -> str:
        """Create a project task.

        Args:
            task_name: What has to be done.
            assigned_to_email: Address of a colleague.
            list_name: To do, Doing, Review or Done.
            due_date: YYYY-MM-DD.
            board: Website, Mobile app, Data platform or Operations.
        """
        values = {
            "task_name": task_name,
            "assigned_to_email": assigned_to_email,
            "list_name": list_name,
            "due_date": due_date,
            "board": board,
        }
        task_id = office_of(session).project_tasks.add(check_all(FIELDS, values))
        return f"Task {task_id} created."

    @tool
    def project_management_delete_task(self, session: Session, task_id: str) -> str:
        """Delete a project task.

        Args:
            task_id: Eight digits.
        """
        office_of(session).project_tasks.remove(task_id)
        return f"Task {task_id} deleted."

    @tool
    def project_management_update_task(
        self, session: Session, task_id: str, field: str, new_value: str
    ) -> str:
        """Change one field of a project task.

        Args:
            task_id: Eight digits.
            field: task_name, assigned_to_email, list_name, due_date or board.
            new_value: What the field should hold.
        """
        check = FIELDS[known_field(field, FIELDS)]
        office_of(session).project_tasks.update(task_id, field, check(new_value, field))
        return f"Task {task_id} updated."
