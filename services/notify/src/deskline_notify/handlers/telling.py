"""Facts of others become state, and what is to be told of them; a whole batch in the reader's transaction."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Conn
from deskline_events.facts import Fact
from deskline_events.intake import ContactRegistered
from deskline_events.personal import personal_paths
from deskline_events.routing import OperatorChanged, TeamChanged
from deskline_events.sla import SlaBreached, SlaWarned
from deskline_notify import figures
from deskline_notify.adapters import directory, intents
from deskline_notify.adapters.intents import Asked, Caused
from deskline_notify.adapters.sealing import Sealer
from deskline_notify.adapters.subscription import subscribe
from deskline_notify.adapters.ticket_rows import TicketRows
from deskline_notify.domain.retrying import GIVE_UP_AFTER
from deskline_notify.domain.telling import Intent, Question, asks, recipients_of, tells

QUESTIONS_AT_ONCE: Final = 500
_F = TypeVar("_F", bound=Fact)


@dataclass(frozen=True, slots=True)
class Telling:
    """What a deployment says of telling."""

    reader: str
    keys: KeyRing
    own_domain: str
    since: datetime


def take_facts(telling: Telling, transaction: Transaction, received: Sequence[Received]) -> bool:
    """Bring the state forward and record what is to be told; whether there is something to send."""
    connection = transaction.connection
    active_since, now = subscribe(connection, telling.reader, telling.since)
    sealer = Sealer.for_persons(telling.keys, connection, _persons(received))
    directory.keep_contacts(connection, sealer, _last(received, ContactRegistered))
    directory.keep_operators(connection, sealer, _last(received, OperatorChanged))
    directory.keep_teams(connection, _last(received, TeamChanged))
    tickets = TicketRows(connection)
    tickets.lock({one.envelope.subject for one in received if one.envelope.owner in {"tickets", "sla"}})
    caused: list[Caused] = []
    asked: list[Asked] = []
    for one in received:
        fact, envelope = one.fact, one.envelope
        is_told = envelope.time > active_since
        if envelope.owner == "tickets":
            ticket = tickets.apply(sealer, envelope, fact)
            if is_told:
                caused += [Caused(intent, one.cause) for intent in tells(ticket, envelope, fact)]
        elif is_told and isinstance(fact, SlaWarned | SlaBreached):
            asked += [Asked(question, one.cause) for question in asks(envelope, fact, now)]
    tickets.save()
    recorded = intents.record_intents(connection, tickets, sealer, caused, now=now, domain=telling.own_domain)
    intents.record_questions(connection, asked)
    recorded += _answer(telling, connection, tickets, tickets.rows.keys(), now)
    transaction.after_commit.append(lambda: count_recorded(recorded))
    return any(state == "pending" for _, state in recorded)


def answer_questions(telling: Telling, connection: Conn) -> Counter[tuple[str, str]]:
    """Record what the tickets' state can tell by now of who is meant; (kind, state) with their number."""
    _, now = subscribe(connection, telling.reader, telling.since)
    return _answer(telling, connection, TicketRows(connection), None, now)


def _answer(
    telling: Telling, connection: Conn, tickets: TicketRows, only: Iterable[UUID] | None, now: datetime
) -> Counter[tuple[str, str]]:
    wanted = None if only is None else list(only)
    if wanted == []:
        return Counter()
    asked = intents.take_questions(connection, wanted, QUESTIONS_AT_ONCE)
    if not asked:
        return Counter()
    tickets.lock({one.question.ticket_id for one in asked})
    rows = tickets.rows
    teams = {UUID(team) for row in rows.values() for _, team in row.ticket.teams if team is not None}
    leads = directory.leads_of(connection, teams)
    caused: list[Caused] = []
    answered: list[Question] = []
    nobody: Counter[tuple[str, str]] = Counter()
    for one in asked:
        question = one.question
        row = rows.get(question.ticket_id)
        recipients = recipients_of(question, None if row is None else row.ticket, leads, now)
        if recipients is None and now - question.asked_at < GIVE_UP_AFTER:
            continue
        answered.append(question)
        nobody[question.kind, "nobody"] += not recipients
        caused += [
            Caused(
                Intent(
                    question.event_id,
                    question.ticket_id,
                    question.kind,
                    recipient,
                    question.fact_at,
                    question.details,
                ),
                one.cause,
            )
            for recipient in recipients or ()
        ]
    intents.drop_questions(connection, answered)
    # Nothing of these is personal: no key is needed.
    return nobody + intents.record_intents(
        connection, tickets, Sealer({}), caused, now=now, domain=telling.own_domain
    )


def count_recorded(recorded: Counter[tuple[str, str]]) -> None:
    """Count what will not be sent; what is sent or fails is counted when it is."""
    for (kind, state), number in recorded.items():
        if state not in {"pending", "waiting"}:
            figures.NOTIFICATIONS.labels(kind, state).inc(number)


def _last(received: Sequence[Received], model: type[_F]) -> list[_F]:
    """The last fact of each stream, in the order of the streams' ids."""
    last = {one.envelope.subject: one.fact for one in received if isinstance(one.fact, model)}
    return [fact for _, fact in sorted(last.items()) if isinstance(fact, model)]


def _persons(received: Sequence[Received]) -> set[UUID]:
    return {
        person
        for one in received
        for of in {of for _, of in personal_paths(type(one.fact))}
        if isinstance(person := getattr(one.fact, of), UUID)
    }
