"""After an erasure the live rows are exactly those that a reader would write who never knew the person."""

from typing import Any
from uuid import UUID

import pytest
from services.analytics.tests.door import Door

from deskline_analytics.adapters.erasing import forget_while_serving
from deskline_analytics.domain.models import MODELS
from deskline_analytics.projections import apply_events, forget_erased
from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import Cause
from deskline_events.facts import Fact
from deskline_events.personal import ERASED, visit_personal

pytestmark = pytest.mark.component


def as_erased(fact: Fact, person: UUID) -> Fact:
    """The fact as it is read once the person's key is gone."""
    data = fact.model_dump(mode="json")
    visit_personal(type(fact), data, lambda of, _path, value: ERASED if of == str(person) else value)
    return type(fact).model_validate(data)


def with_participants(make_story: Any) -> Any:
    """Tickets on which other contacts wrote too, with and without quotes."""
    story = make_story(6).live(tickets=6, events=80)
    other = story.contacts[1]
    for ticket_id in list(story.tickets)[:4]:
        message = story.message().model_copy(update={"text": "принтеры\n> старое", "reply": "принтеры"})
        story.say_reply(ticket_id, message, other)
        story.say_reply(ticket_id, story.message())
    return story


@pytest.mark.parametrize("whom", ["contact", "operator"])
def test_swept_rows_equal_those_written_after_the_erasure(
    shared_rig: Any, make_story: Any, fill: Any, whom: str
) -> None:
    story = with_participants(make_story)
    person = story.contacts[1] if whom == "contact" else story.operators[0]
    fill(shared_rig, story)
    before = shared_rig.state()
    shared_rig.as_owner("DELETE FROM known_keys")
    shared_rig.as_owner(
        "INSERT INTO known_keys (subject, erased_at) VALUES (%s, '2026-03-01T09:00:00Z')", (person,)
    )
    with shared_rig.database.transaction() as connection:
        assert forget_erased(connection) > 0
        assert forget_erased(connection) == 0
    swept = shared_rig.state()
    shared_rig.as_owner("DELETE FROM known_keys")
    for model in MODELS:
        shared_rig.as_owner(f"DELETE FROM {model}")
    received = [Received(e, as_erased(f, person), Cause(e.correlation_id)) for e, f in story.events()]
    with shared_rig.database.transaction() as connection:
        apply_events(Transaction(connection), received)
    written = shared_rig.state()
    for model in MODELS:
        assert swept[model] == written[model], model
    changed = {model for model in MODELS if swept[model] != before[model]}
    assert changed == ({"open_tickets", "ticket_documents"} if whom == "contact" else {"operators"})


def test_an_erased_persons_words_are_found_no_more(rig: Any, make_story: Any, until: Any) -> None:
    story = make_story(6).staff()
    ticket_id = story.open()
    stays = story.open()
    for one in (ticket_id, stays):
        story.say_reply(one, story.message().model_copy(update={"text": "секретный договор"}))
    rig.tell(story)
    rig.start_reader()
    rig.wait_applied()
    door = Door(rig, story)
    assert len(door.search("договоры").json()["items"]) == 2
    rig.loops.start("erasing", forget_while_serving(rig.database))
    rig.erase("intake", story.tickets[ticket_id].contact_id)
    rig.erase("routing", story.operators[0])
    readable = "SELECT count(*) FROM ticket_documents WHERE NOT erased"
    until(lambda: rig.ask(readable) == [(2,)], "the words of one are gone")
    name = "SELECT name FROM operators WHERE operator_id = %s"
    until(lambda: rig.ask(name, (story.operators[0],)) == [(ERASED,)], "the name is gone")
    (found,) = door.search("договоры").json()["items"]
    assert found["ticket_id"] == str(stays)
    rig.stop_reader()
    rig.loops.stop("erasing")
    before = rig.state()
    code, output = rig.run("rebuild")
    assert code == 0, output
    assert rig.state() == before
