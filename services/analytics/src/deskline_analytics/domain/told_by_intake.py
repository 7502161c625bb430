"""What intake's events change: messages at the door, and lines."""

from typing import Final

from deskline_analytics.domain.rows import LineRow
from deskline_analytics.domain.wording import storable
from deskline_analytics.domain.work import Handlers, Work, utc
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_events.intake import CompanyRegistered, ContactRegistered, MessageReceived, PersonErased


def on_contact_or_company(_work: Work, _envelope: Envelope, _fact: Fact) -> None:
    """Only freshness moves: tickets carry what was known of the contact when they were opened."""


def on_person_erased(_work: Work, _envelope: Envelope, _fact: PersonErased) -> None:
    """Only freshness moves: the sweep follows the person's key, which comes by another topic."""


def on_message_received(work: Work, envelope: Envelope, fact: MessageReceived) -> None:
    line = fact.line
    work.changes.flow_at(utc(fact.received_at), line.line_id).received += 1
    name, told_at = storable(line.name), utc(envelope.time)
    told = LineRow(line.line_id, name, line.channel, line.language, told_at, envelope.id)
    before = work.changes.lines.get(line.line_id)
    if before is None or (before.told_at, before.told_by) < (told.told_at, told.told_by):
        work.changes.lines[line.line_id] = told


HANDLERS: Final[Handlers] = {
    ContactRegistered: on_contact_or_company,
    CompanyRegistered: on_contact_or_company,
    PersonErased: on_person_erased,
    MessageReceived: on_message_received,
}
