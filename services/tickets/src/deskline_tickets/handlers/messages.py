"""Customers' messages: each opens a ticket, belongs to one, or is set aside."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_events.intake import MessageReceived
from deskline_events.tickets import Actor, CustomerMessage
from deskline_tickets.domain.commands import (
    AddAutomaticMessage,
    AddCustomerReply,
    FromMessage,
    OpenTicket,
    SetMessageAside,
)
from deskline_tickets.domain.ids import set_aside_stream_of, ticket_id_of
from deskline_tickets.domain.threading import (
    Append,
    Incoming,
    Open,
    SetAside,
    Target,
    Traces,
    choose_target,
    traces_in,
)
from deskline_tickets.domain.tokens import issue_reply_token, message_id_hash
from deskline_tickets.handlers.batch import Batch
from deskline_tickets.ports import Arrival

# A number is given when all is decided: only openings take one from the sequence.
_NO_NUMBER_YET: Final = 1


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """A message came; what follows from it is caused by `cause`."""

    message: MessageReceived
    cause: Cause


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment says of threading; `key` makes and proves our tokens."""

    key: bytes = field(repr=False)
    own_domains: frozenset[str] | None
    reopening_window: timedelta


def take_message(batch: Batch, command: TakeMessage, traces: Traces, rules: Rules) -> None:
    """Decide where a message goes, and what it does there; quiet where it had its effect before."""
    message = command.message
    if batch.has(message.source_key):
        return
    target = _target(batch, message, traces, rules)
    stream = _stream(target, message.source_key)
    # Times of a customer's events decide nothing; what is kept is evolved with the log's time.
    batch.decide(stream, _command(batch, target, message, stream, rules), command.cause, message.received_at)
    hashed = None
    if not isinstance(target, SetAside) and message.message_id:
        hashed = message_id_hash(message.line.line_id, message.message_id)
    batch.arrive(Arrival(message.source_key, stream, message.line.line_id, hashed))


def _target(batch: Batch, message: MessageReceived, traces: Traces, rules: Rules) -> Target:
    if batch.is_erased(message.contact_id):
        # Nothing may be written under their key any more, and the message still has its one effect.
        return SetAside("person_erased")
    return choose_target(_incoming(message), batch.candidates(traces), window=rules.reopening_window)


def traces_of(message: MessageReceived, rules: Rules) -> Traces:
    """What a message says of its ticket."""
    return traces_in(_incoming(message), rules.key, rules.own_domains)


def _incoming(message: MessageReceived) -> Incoming:
    return Incoming(
        line_id=message.line.line_id,
        sender=message.contact_id,
        kind=message.kind,
        received_at=message.received_at,
        channel=message.line.channel,
        subject=message.subject,
        reply_token=message.reply_token,
        references=message.references,
        bounced=message.bounced,
    )


def _stream(target: Target, source_key: str) -> UUID:
    match target:
        case Append(ticket_id=ticket_id):
            return ticket_id
        case Open():
            return ticket_id_of(source_key)
        case SetAside():
            return set_aside_stream_of(source_key)


def _command(
    batch: Batch, target: Target, message: MessageReceived, stream: UUID, rules: Rules
) -> FromMessage:
    contact = Actor(kind="contact", id=message.contact_id)
    match target:
        case Append() if message.kind == "human":
            return AddCustomerReply(
                actor=contact,
                contact_id=message.contact_id,
                message=_kept(message),
                keeps_assignee=batch.keeps_assignee(stream),
            )
        case Append():
            return AddAutomaticMessage(actor=contact, contact_id=message.contact_id, message=_kept(message))
        case Open(link=link):
            return OpenTicket(
                actor=contact,
                number=_NO_NUMBER_YET,
                line=message.line,
                contact_id=message.contact_id,
                customer=message.customer,
                subject=message.subject,
                message=_kept(message),
                reply_token=issue_reply_token(rules.key, stream),
                link=link,
            )
        case SetAside(reason=reason):
            return SetMessageAside(
                actor=Actor(kind="system"),
                source_key=message.source_key,
                line_id=message.line.line_id,
                contact_id=message.contact_id,
                received_at=message.received_at,
                reason=reason,
            )


def _kept(message: MessageReceived) -> CustomerMessage:
    return CustomerMessage(
        source_key=message.source_key,
        received_at=message.received_at,
        kind=message.kind,
        suppress_auto_reply=message.suppress_auto_reply,
        text=message.text,
        reply=message.reply,
        text_object=message.text_object,
        message_id=message.message_id,
        attachments=message.attachments,
        raw=message.raw,
        problems=message.problems,
    )
