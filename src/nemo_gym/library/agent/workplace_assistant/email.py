"""The mailbox."""

from __future__ import annotations

from typing import Any

from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import tool
from nemo_gym.library.agent.workplace_assistant.data import NOW
from nemo_gym.library.agent.workplace_assistant.fields import (
    address,
    between,
    first_results,
    known_field,
    matching,
    text,
)
from nemo_gym.library.agent.workplace_assistant.state import Office, office_of


class EmailTools:
    @tool
    def email_get_email_information_by_id(
        self, session: Session, email_id: str, field: str
    ) -> dict[str, str]:
        """Return one field of an email.

        Args:
            email_id: Eight digits.
            field: email_id, folder, address, subject, sent_datetime or body.
        """
        email = office_of(session).emails[email_id]
        return {field: email[known_field(field, email)]}

    @tool
    def email_search_emails(
        self, session: Session, query: str = "", date_min: str = "", date_max: str = ""
    ) -> dict[str, Any]:
        """Search the emails in both folders; the newest come first, at most 5 are shown.

        Args:
            query: Words that must all occur in the address, subject or body; empty for all emails.
            date_min: First date, YYYY-MM-DD; may be empty.
            date_max: Last date, YYYY-MM-DD, included; may be empty.
        """
        match = matching(query)
        in_range = between(date_min, date_max, ("date_min", "date_max"))
        emails = [
            email
            for email in office_of(session).emails
            if in_range(email["sent_datetime"]) and match((email["address"], email["subject"], email["body"]))
        ]
        emails.sort(key=lambda email: (email["sent_datetime"], email["email_id"]), reverse=True)
        return first_results(emails)

    @tool
    def email_send_email(self, session: Session, recipient: str, subject: str, body: str) -> str:
        """Send an email.

        Args:
            recipient: One email address.
            subject: The subject line.
            body: The text.
        """
        return _send(office_of(session), recipient, subject, body)

    @tool
    def email_delete_email(self, session: Session, email_id: str) -> str:
        """Delete an email.

        Args:
            email_id: Eight digits.
        """
        office_of(session).emails.remove(email_id)
        return f"Email {email_id} deleted."

    @tool
    def email_forward_email(self, session: Session, email_id: str, recipient: str) -> str:
        """Forward an email as it is.

        Args:
            email_id: Eight digits.
            recipient: One email address.
        """
        office = office_of(session)
        email = office.emails[email_id]
        return _send(office, recipient, f"FW: {email['subject']}", email["body"])

    @tool
    def email_reply_email(self, session: Session, email_id: str, body: str) -> str:
        """Reply to an email.

        Args:
            email_id: Eight digits.
            body: The text of the reply, without the original.
        """
        office = office_of(session)
        email = office.emails[email_id]
        return _send(office, email["address"], f"RE: {email['subject']}", body)


def _send(office: Office, recipient: str, subject: str, body: str) -> str:
    email_id = office.emails.add(
        {
            "folder": "outbox",
            "address": address(recipient, "recipient"),
            "subject": text(subject, "subject"),
            "sent_datetime": NOW,
            "body": text(body, "body"),
        }
    )
    return f"Email {email_id} sent."
