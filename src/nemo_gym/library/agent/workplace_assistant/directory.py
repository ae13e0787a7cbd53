"""The company directory."""

from __future__ import annotations

from typing import Any

from nemo_gym.environments.tool import tool
from nemo_gym.library.agent.workplace_assistant.data import Row, base
from nemo_gym.library.agent.workplace_assistant.fields import first_results, matching, text


class DirectoryTools:
    @tool
    def company_directory_find_email_address(self, name: str) -> dict[str, Any]:
        """Find the email addresses of the colleagues with a name.

        Args:
            name: First name, last name or both.
        """
        match = matching(text(name, "name"), field="name")
        entries: list[Row] = [
            {"name": full, "email": address} for address, full in base().directory.items() if match([full])
        ]
        return first_results(entries)
