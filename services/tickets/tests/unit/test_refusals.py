"""Refusals: stable codes, a Russian sentence for each, details for the caller."""

import json

import pytest

from deskline_tickets.domain import refusals
from deskline_tickets.domain.refusals import (
    RUSSIAN,
    IllegalMove,
    KeyReused,
    MissingRequirement,
    NotPermitted,
    NotThen,
    OfferGone,
    PersonErased,
    QueueUnknown,
    Refusal,
    StaleVersion,
    TextTooLong,
    TicketEnded,
    TicketUnknown,
)

pytestmark = pytest.mark.unit

ALL: list[Refusal] = [
    TicketUnknown(),
    StaleVersion(4),
    IllegalMove("new", "closed", ("in_progress",)),
    MissingRequirement("until", "Say until when."),
    TicketEnded("spam", ()),
    PersonErased(),
    NotPermitted("write a note", ("operator",)),
    TextTooLong(10),
    OfferGone("in_progress"),
    QueueUnknown(),
    NotThen(),
    KeyReused(),
]


def test_every_refusal_is_in_this_test() -> None:
    assert {type(refusal) for refusal in ALL} == set(Refusal.__subclasses__())
    assert all(hasattr(refusals, type(refusal).__name__) for refusal in ALL)


def test_codes_are_the_released_ones() -> None:
    assert [refusal.code for refusal in ALL] == [
        "ticket_unknown",
        "stale_version",
        "illegal_move",
        "missing_requirement",
        "ticket_ended",
        "person_erased",
        "not_permitted",
        "text_too_long",
        "offer_gone",
        "queue_unknown",
        "not_then",
        "key_reused",
    ]


@pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: str(refusal.code))
def test_a_refusal_speaks_both_languages_and_its_details_are_json(refusal: Refusal) -> None:
    assert str(refusal).endswith(".")
    assert refusal.russian == RUSSIAN[refusal.code]
    assert json.loads(json.dumps(refusal.details())) == refusal.details()
