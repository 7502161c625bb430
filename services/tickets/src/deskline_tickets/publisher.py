"""Which public event a stored one becomes: one for one, under the same sequence, for ever the same bytes."""

from typing import Any, Final

from pydantic_core import from_json, to_json


class UnknownStoredType(LookupError):  # noqa: N818 - named as what was met
    """No public form is declared for this stored type."""

    def __init__(self, stored_type: str) -> None:
        super().__init__(f"no public form for stored type {stored_type!r}")
        self.stored_type = stored_type


# Stored type → public type and its keys in their order. A row never changes: a new version is a new row.
PUBLIC_FORMS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "TicketOpened.v1": (
        "deskline.tickets.TicketOpened.v1",
        (
            "number",
            "line",
            "contact_id",
            "customer",
            "subject",
            "message",
            "priority",
            "level",
            "reply_token",
            "link",
        ),
    ),
    "CustomerReplied.v1": ("deskline.tickets.CustomerReplied.v1", ("contact_id", "message")),
    "AutomaticMessageAdded.v1": ("deskline.tickets.AutomaticMessageAdded.v1", ("contact_id", "message")),
    "MessageSetAside.v1": (
        "deskline.tickets.MessageSetAside.v1",
        ("source_key", "line_id", "contact_id", "received_at", "reason"),
    ),
    "OperatorReplied.v1": (
        "deskline.tickets.OperatorReplied.v1",
        ("reply_id", "operator_id", "contact_id", "text", "seen_version"),
    ),
    # The text of a note stays here, and with it the person under whose key it is.
    "NoteAdded.v1": ("deskline.tickets.NoteAdded.v1", ("note_id", "operator_id", "mentions")),
    "StageChanged.v1": (
        "deskline.tickets.StageChanged.v1",
        ("before", "after", "actor", "cycle", "assignment_no", "closing_reason", "until"),
    ),
    "PriorityChanged.v1": ("deskline.tickets.PriorityChanged.v1", ("before", "after", "actor")),
    "PriorityRaised.v1": ("deskline.tickets.PriorityChanged.v1", ("before", "after", "actor")),
    "TicketRouted.v1": (
        "deskline.tickets.TicketRouted.v1",
        ("queue_id", "team_id", "actor", "assignment_no"),
    ),
    "TicketOffered.v1": (
        "deskline.tickets.TicketOffered.v1",
        ("offer_id", "operator_id", "queue_id", "until", "assignment_no"),
    ),
    "OfferDeclined.v1": (
        "deskline.tickets.OfferDeclined.v1",
        ("offer_id", "operator_id", "reason", "assignment_no"),
    ),
    "OfferEnded.v1": (
        "deskline.tickets.OfferEnded.v1",
        ("offer_id", "operator_id", "reason", "assignment_no"),
    ),
    "TicketAccepted.v1": (
        "deskline.tickets.TicketAccepted.v1",
        ("operator_id", "offer_id", "actor", "assignment_no"),
    ),
    "TicketUnassigned.v1": (
        "deskline.tickets.TicketUnassigned.v1",
        ("operator_id", "reason", "actor", "assignment_no"),
    ),
    # What was handed over with it stays here: others are told that there is a note.
    "Escalated.v1": (
        "deskline.tickets.Escalated.v1",
        (
            "before",
            "after",
            "reason",
            "actor",
            "assignment_no",
            "preferred_operator_id",
            "step_key",
            "has_note",
        ),
    ),
    "DecisionRefused.v1": (
        "deskline.tickets.DecisionRefused.v1",
        ("decision", "decision_id", "offer_id", "reason", "stage", "assignee_id", "assignment_no"),
    ),
    "DeliveryChanged.v1": (
        "deskline.tickets.DeliveryChanged.v1",
        ("reply_id", "notification_id", "state", "reason"),
    ),
}


def publish(stored_type: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The public type and data of a stored event; sealed fields are copied; raises UnknownStoredType.

    A key that the stored event lacks is left out, so an optional field added later changes no old bytes.
    """
    if stored_type not in PUBLIC_FORMS:
        raise UnknownStoredType(stored_type)
    public_type, keys = PUBLIC_FORMS[stored_type]
    return public_type, {key: data[key] for key in keys if key in data}


def publish_bytes(stored_type: str, data: bytes) -> tuple[str, bytes]:
    """The public type and bytes of a stored event's bytes; the relay's form of `publish`."""
    public_type, public = publish(stored_type, from_json(data))
    return public_type, to_json(public)
