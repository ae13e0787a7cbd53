"""The customer list."""

from __future__ import annotations

from typing import Any, Final

from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import ToolError, tool
from nemo_gym.library.agent.workplace_assistant.data import PRODUCTS, STATUSES
from nemo_gym.library.agent.workplace_assistant.fields import (
    Check,
    address,
    between,
    check_all,
    colleague,
    conditions_of,
    day,
    first_results,
    known_field,
    note,
    one_of,
    optional,
    text,
)
from nemo_gym.library.agent.workplace_assistant.state import office_of

FIELDS: Final[dict[str, Check]] = {
    "customer_name": text,
    "customer_email": optional(address),
    "customer_phone": note,
    "assigned_to_email": colleague,
    "status": one_of(STATUSES),
    "product_interest": optional(one_of(PRODUCTS)),
    "last_contact_date": optional(day),
    "follow_up_by": optional(day),
    "notes": note,
}


class CustomerTools:
    @tool
    def customer_relationship_manager_search_customers(
        self,
        session: Session,
        customer_name: str = "",
        customer_email: str = "",
        product_interest: str = "",
        status: str = "",
        assigned_to_email: str = "",
        last_contact_date_min: str = "",
        last_contact_date_max: str = "",
        follow_up_by_min: str = "",
        follow_up_by_max: str = "",
    ) -> dict[str, Any]:
        """Search the customers; all that is given must match. Ordered by id, at most 5 are shown.

        Args:
            customer_name: Words that must all occur in the name.
            customer_email: Address, or a part of it.
            product_interest: Planner, Inventory, Payments or Support desk.
            status: Lead, Contacted, Negotiating, Won or Lost.
            assigned_to_email: Address of the colleague who looks after the customer, or a part of it.
            last_contact_date_min: First date, YYYY-MM-DD.
            last_contact_date_max: Last date, YYYY-MM-DD, included.
            follow_up_by_min: First date, YYYY-MM-DD.
            follow_up_by_max: Last date, YYYY-MM-DD, included.
        """
        filters = {
            "customer_name": customer_name,
            "customer_email": customer_email,
            "product_interest": product_interest,
            "status": status,
            "assigned_to_email": assigned_to_email,
        }
        ranges = {
            "last_contact_date": (last_contact_date_min, last_contact_date_max),
            "follow_up_by": (follow_up_by_min, follow_up_by_max),
        }
        conditions = conditions_of(filters)
        within = {
            field: between(low, high, (f"{field}_min", f"{field}_max"))
            for field, (low, high) in ranges.items()
            if low or high
        }
        if not (conditions or within):
            every = [*filters, *(f"{field}_{end}" for field in ranges for end in ("min", "max"))]
            raise ToolError(f"Give at least one of: {', '.join(every)}.")
        customers = [
            customer
            for customer in office_of(session).customers
            if all(match([customer[field]]) for field, match in conditions.items())
            and all(customer[field] and in_range(customer[field]) for field, in_range in within.items())
        ]
        return first_results(customers)

    @tool
    def customer_relationship_manager_update_customer(
        self, session: Session, customer_id: str, field: str, new_value: str
    ) -> str:
        """Change one field of a customer.

        The fields are customer_name, customer_email, customer_phone, assigned_to_email, status,
        product_interest, last_contact_date, follow_up_by and notes.

        Args:
            customer_id: Eight digits.
            field: One of the fields named above.
            new_value: What the field should hold.
        """
        check = FIELDS[known_field(field, FIELDS)]
        office_of(session).customers.update(customer_id, field, check(new_value, field))
        return f"Customer {customer_id} updated."

    @tool
    def customer_relationship_manager_add_customer(
        self,
        session: Session,
        customer_name: str,
        assigned_to_email: str,
        status: str,
        customer_email: str = "",
        customer_phone: str = "",
        last_contact_date: str = "",
        product_interest: str = "",
        notes: str = "",
        follow_up_by: str = "",
    ) -> str:
        """Add a customer; what is not known stays empty.

        Args:
            customer_name: Full name.
            assigned_to_email: Address of the colleague who looks after the customer.
            status: Lead, Contacted, Negotiating, Won or Lost.
            customer_email: The customer's address.
            customer_phone: The customer's telephone number.
            last_contact_date: YYYY-MM-DD.
            product_interest: Planner, Inventory, Payments or Support desk.
            notes: Anything worth knowing.
            follow_up_by: YYYY-MM-DD.
        """
        values = {
            "customer_name": customer_name,
            "customer_email": customer_email,
            "customer_phone": customer_phone,
            "assigned_to_email": assigned_to_email,
            "status": status,
            "product_interest": product_interest,
            "last_contact_date": last_contact_date,
            "follow_up_by": follow_up_by,
            "notes": notes,
        }
        customer_id = office_of(session).customers.add(check_all(FIELDS, values))
        return f"Customer {customer_id} added."

    @tool
    def customer_relationship_manager_delete_customer(self, session: Session, customer_id: str) -> str:
        """Delete a customer.

        Args:
            customer_id: Eight digits.
        """
        office_of(session).customers.remove(customer_id)
        return f"Customer {customer_id} deleted."
