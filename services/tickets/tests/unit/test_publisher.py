"""Stored and public events: one form for each, the same persons' fields, no note's text."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from deskline_events.catalog import CATALOG
from deskline_events.facts import Attachment, Customer, Fact, Line, StoredObject
from deskline_events.personal import Sealed, personal_paths, persons_in, visit_personal
from deskline_events.tickets import Actor, CustomerMessage, Link
from deskline_tickets.domain import events as stored
from deskline_tickets.publisher import PUBLIC_FORMS, UnknownStoredType, publish

pytestmark = pytest.mark.unit

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SOME, CONTACT, OPERATOR = UUID(int=1), UUID(int=2), UUID(int=3)
ACTOR = Actor(kind="operator", id=OPERATOR)
OBJECT = StoredObject(key="k", sha256="a" * 64, size=1)
MESSAGE = CustomerMessage(
    source_key="b" * 64,
    received_at=AT,
    kind="human",
    text="открытый текст",
    reply="ответ",
    text_object=OBJECT,
    message_id="<a@b>",
    attachments=(Attachment(attachment_id=SOME, content=OBJECT, filename="ф.pdf", media_type="a/b"),),
    raw=OBJECT,
    problems=("charset_guessed",),
)
SAMPLES: list[Fact] = [
    stored.TicketOpened(
        number=7,
        line=Line(line_id=SOME, name="Почта", channel="email", language="ru"),
        contact_id=CONTACT,
        customer=Customer(contact_id=CONTACT, company_id=SOME, tier="gold", locale="en", new=True),
        subject="тема",
        message=MESSAGE,
        priority="high",
        level=2,
        reply_token="token",
        link=Link(kind="follow_up_of", ticket_id=SOME),
    ),
    stored.CustomerReplied(contact_id=CONTACT, message=MESSAGE),
    stored.AutomaticMessageAdded(contact_id=CONTACT, message=MESSAGE),
    stored.MessageSetAside(
        source_key="c" * 64, line_id=SOME, contact_id=CONTACT, received_at=AT, reason="list"
    ),
    stored.OperatorReplied(
        reply_id=SOME, operator_id=OPERATOR, contact_id=CONTACT, text="ответили", seen_version=3
    ),
    stored.NoteAdded(
        note_id=SOME, operator_id=OPERATOR, contact_id=CONTACT, text="тайная заметка", mentions=(SOME,)
    ),
    stored.StageChanged(
        before="new",
        after="resolved",
        actor=ACTOR,
        cycle=2,
        assignment_no=3,
        closing_reason="solved",
        until=AT,
    ),
    stored.PriorityChanged(before="low", after="high", actor=ACTOR),
    stored.PriorityRaised(before="low", after="high", actor=ACTOR, step_key="s/1/s/1", decision_id=SOME),
    stored.TicketRouted(queue_id=SOME, team_id=SOME, actor=ACTOR, assignment_no=1, decision_id=SOME),
    stored.TicketOffered(
        offer_id=SOME, operator_id=OPERATOR, queue_id=SOME, until=AT, assignment_no=1, decision_id=SOME
    ),
    stored.OfferDeclined(offer_id=SOME, operator_id=OPERATOR, reason="busy", assignment_no=1),
    stored.OfferEnded(
        offer_id=SOME, operator_id=OPERATOR, reason="ticket_moved", assignment_no=1, decision_id=SOME
    ),
    stored.TicketAccepted(operator_id=OPERATOR, offer_id=SOME, actor=ACTOR, assignment_no=2),
    stored.TicketUnassigned(
        operator_id=OPERATOR, reason="given_back", actor=ACTOR, assignment_no=3, decision_id=SOME
    ),
    stored.Escalated(
        before=1,
        after=2,
        reason="manual",
        actor=ACTOR,
        assignment_no=4,
        preferred_operator_id=OPERATOR,
        step_key="s/1/s/1",
        has_note=True,
        contact_id=CONTACT,
        note="тайная передача",
        tried="тайное",
        reproduce="тайное",
        affected="тайное",
        decision_id=SOME,
    ),
    stored.DecisionRefused(
        decision="offer",
        decision_id=SOME,
        offer_id=SOME,
        reason="stale",
        stage="new",
        assignee_id=OPERATOR,
        assignment_no=4,
        step_key="s/1/s/1",
    ),
    stored.DeliveryChanged(
        reply_id=SOME, notification_id=SOME, state="failed", reason="smtp_550", decision_id=SOME
    ),
]
STAYS_HOME = {"NoteAdded.v1": ("text",), "Escalated.v1": ("note", "tried", "reproduce", "affected")}
NAMES = [sample.TYPE for sample in SAMPLES]


def sealed(event: Fact) -> dict[str, Any]:
    """The event's data as stored: personal fields under their person's key."""
    data = event.model_dump(mode="json")
    visit_personal(type(event), data, lambda subject, _path, _text: {"k": subject, "v": 1, "c": "AAECAw=="})
    return data


def test_every_stored_type_has_a_sample_here_and_a_public_form() -> None:
    assert set(NAMES) == set(stored.STORED) == set(PUBLIC_FORMS)
    assert [stored.STORED[name] for name in NAMES] == [type(sample) for sample in SAMPLES]


@pytest.mark.parametrize("event", SAMPLES, ids=NAMES)
def test_the_public_form_is_complete_and_reads_as_its_model(event: Fact) -> None:
    public_type, data = publish(event.TYPE, sealed(event))
    model = CATALOG[public_type].model
    assert set(data) == set(model.model_fields)
    for person in persons_in(model, data):
        assert person == str(CONTACT)
    found: list[str] = []

    def unseal(_subject: str, path: str, value: Any) -> str:
        Sealed.model_validate(value)
        found.append(path)
        return "text"

    readable = deepcopy(data)
    visit_personal(model, readable, unseal)
    read = model.model_validate_json(json.dumps(readable))
    assert read.model_dump(mode="json") == readable
    assert bool(found) == bool(personal_paths(model))


@pytest.mark.parametrize("event", SAMPLES, ids=NAMES)
def test_the_same_fields_are_personal_in_both(event: Fact) -> None:
    public_type, _ = publish(event.TYPE, {})
    public = CATALOG[public_type].model
    private = set(personal_paths(type(event)))
    private -= {((name,), "contact_id") for name in STAYS_HOME.get(event.TYPE, ())}
    assert set(personal_paths(public)) == private


@pytest.mark.parametrize("event", SAMPLES, ids=NAMES)
def test_sealed_fields_are_copied_and_the_keys_come_in_one_order(event: Fact) -> None:
    data = sealed(event)
    shuffled = dict(reversed(data.items()))
    before = deepcopy(shuffled)
    assert json.dumps(publish(event.TYPE, shuffled)) == json.dumps(publish(event.TYPE, data))
    assert shuffled == before
    _, public = publish(event.TYPE, data)
    assert all(public[key] == data[key] for key in public)


@pytest.mark.parametrize("name", STAYS_HOME)
def test_what_is_written_for_colleagues_never_gets_out(name: str) -> None:
    event = SAMPLES[NAMES.index(name)]
    for data in (sealed(event), event.model_dump(mode="json")):
        _, public = publish(name, data)
        assert not {"contact_id", *STAYS_HOME[name]} & set(public)
        written = json.dumps(public, ensure_ascii=False)
        assert "тайн" not in written
        assert "AAECAw==" not in written


def test_a_field_that_no_row_names_stays_private() -> None:
    event = SAMPLES[-1]
    _, public = publish(event.TYPE, sealed(event) | {"private": 1})
    assert "private" not in public


def test_an_optional_field_that_old_events_lack_is_left_out() -> None:
    event = SAMPLES[NAMES.index("StageChanged.v1")]
    data = sealed(event)
    del data["until"]
    assert "until" not in publish(event.TYPE, data)[1]


def test_an_unknown_stored_type_is_an_error_that_names_it() -> None:
    with pytest.raises(UnknownStoredType, match=r"TicketSung\.v1") as raised:
        publish("TicketSung.v1", {})
    assert raised.value.stored_type == "TicketSung.v1"
