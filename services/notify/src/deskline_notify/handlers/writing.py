"""Claimed notifications become mails: who gets them, in which language, in which thread, saying what."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from deskline_chassis.personal_data import KeyRing, MissingKeyError, SealError
from deskline_chassis.postgres import Conn
from deskline_events.facts import Language
from deskline_events.notify import NotificationKind
from deskline_notify.adapters import claims
from deskline_notify.adapters.claims import About, Claimed, Person
from deskline_notify.adapters.sealing import Sealer, person_of
from deskline_notify.adapters.template_store import Saved, saved_templates
from deskline_notify.domain.ids import plus_address, usable_address
from deskline_notify.domain.mails import AutoSubmitted, Mail, compose
from deskline_notify.domain.threads import Link, thread_of
from deskline_notify.domain.variables import VARIABLES, clock_in, moment_in, priority_in
from deskline_notify.ports import Outgoing
from deskline_notify.templates.defaults import default_of
from deskline_notify.templates.sandbox import Rendered, RenderError, render

log = structlog.get_logger(__name__)


class NotWritableError(Exception):
    """There is no mail to be sent, and there never will be; `reason` is a word for machines."""

    safe_message = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class House:
    """What a deployment says of its mails; `tag_key` hides addresses that were typed into forms."""

    keys: KeyRing
    own_domain: str
    sender: str
    zone: ZoneInfo
    tag_key: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """A claimed notification with all that its mail needs, opened."""

    claimed: Claimed
    about: About
    address: str
    language: Language
    subject: str
    reply_text: str
    recipient_name: str
    operator_name: str
    links: tuple[Link, ...]

    @property
    def is_unverified(self) -> bool:
        """Whether it is automatic and goes where anybody may have told us to write."""
        to_customer = self.claimed.recipient.kind == "contact"
        return to_customer and self.claimed.kind != "reply" and not self.about.verified


@dataclass(frozen=True, slots=True)
class Opened:
    """What a claim's rows give: letters, and what can't be written with the reason."""

    letters: Sequence[Letter]
    refused: Sequence[tuple[Claimed, str]]
    templates: Mapping[tuple[NotificationKind, Language], Saved]


def open_letters(house: House, connection: Conn, claimed: Sequence[Claimed]) -> Opened:
    """Read what the mails need, in the claim's transaction, and open it with its persons' keys."""
    about = claims.tickets_about(connection, {one.ticket_id for one in claimed})
    operators = {UUID(one.details["operator_id"]) for one in claimed if "operator_id" in one.details}
    people = claims.persons(connection, {one.recipient.id for one in claimed} | operators)
    earlier = claims.earlier_mails(connection, claimed)
    sealer = Sealer.for_persons(house.keys, connection, _keys_needed(claimed, about, people))
    letters: list[Letter] = []
    refused: list[tuple[Claimed, str]] = []
    for one in claimed:
        try:
            found = about.get(one.ticket_id)
            letters.append(_open(one, found, people, sealer, earlier.get(one.place, [])))
        except NotWritableError as error:
            refused.append((one, error.reason))
        except (MissingKeyError, SealError) as error:
            log.error("a notification can't be opened", place=one.place, cause=type(error).__name__)
            refused.append((one, "unreadable"))
    return Opened(letters, refused, saved_templates(connection))


def tag_of(house: House, letter: Letter) -> bytes:
    """What an address is remembered by for an hour, without remembering the address."""
    return hmac.digest(house.tag_key, letter.address.lower().encode(), "sha256")


def write(house: House, opened: Opened, letter: Letter, now: datetime) -> Outgoing:
    """The mail, as it is handed to the provider; raises NotWritableError."""
    claimed, about = letter.claimed, letter.about
    line_address = None if about.line_address is None else usable_address(about.line_address)
    sender = line_address or house.sender
    to_customer = claimed.recipient.kind == "contact"
    rendered = _rendered(opened, letter, _values(house, letter))
    content = compose(
        Mail(
            notification_id=claimed.notification_id,
            message_id=claimed.message_id,
            thread=thread_of(letter.links, claimed.fact_at),
            sender_name=about.line_name,
            sender_address=sender,
            recipient=letter.address,
            reply_to=plus_address(line_address, about.reply_token) if to_customer and line_address else None,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            language=letter.language,
            automatic=_automatic(claimed),
        ),
        now,
    )
    # RFC 3834 §3.3: what is automatic has the null sender, so that nothing answers or bounces it.
    return Outgoing(sender if claimed.kind == "reply" else "", letter.address, content)


def _automatic(claimed: Claimed) -> AutoSubmitted | None:
    if claimed.kind == "reply":
        return None
    return "auto-replied" if claimed.recipient.kind == "contact" else "auto-generated"


def _open(
    claimed: Claimed,
    about: About | None,
    people: Mapping[UUID, Person],
    sealer: Sealer,
    earlier: Sequence[tuple[str, datetime]],
) -> Letter:
    person = people.get(claimed.recipient.id)
    if about is None or person is None:
        raise NotWritableError("no_address")
    if not person.employed:
        raise NotWritableError("left")  # tickets' texts are no longer theirs to read
    if claimed.is_expired:
        raise NotWritableError("expired")
    address = _address(claimed, person, sealer)
    reply_text = sealer.open(claimed.notification_id, "reply_text", claimed.reply_text)
    if claimed.kind == "reply" and reply_text is None:
        raise NotWritableError("person_erased")
    operator_id = claimed.details.get("operator_id")
    operator = people.get(UUID(operator_id)) if operator_id else None
    links = [Link(at, message_id, from_customer=False) for message_id, at in earlier]
    if claimed.recipient.kind == "contact":
        for kept in about.message_ids:
            message_id = sealer.open(UUID(kept["event"]), "message_id", kept["id"])
            if message_id is not None:
                links.append(Link(datetime.fromisoformat(kept["at"]), message_id, from_customer=True))
    return Letter(
        claimed=claimed,
        about=about,
        address=address,
        language=person.language or about.locale,
        subject=sealer.open(about.ticket_id, "subject", about.subject) or "",
        reply_text=reply_text or "",
        recipient_name=sealer.open(claimed.recipient.id, "name", person.name) or "",
        operator_name=""
        if operator is None or operator_id is None
        else sealer.open(UUID(operator_id), "name", operator.name) or "",
        links=tuple(links),
    )


def _address(claimed: Claimed, person: Person, sealer: Sealer) -> str:
    address = sealer.open(claimed.recipient.id, "address", person.address)
    if address is None:
        erased = person.address is not None or sealer.is_erased(claimed.recipient.id)
        raise NotWritableError("person_erased" if erased else "no_address")
    usable = usable_address(address)
    if usable is None:
        raise NotWritableError("bad_address")
    return usable


def _keys_needed(
    claimed: Sequence[Claimed], about: Mapping[UUID, About], people: Mapping[UUID, Person]
) -> set[UUID]:
    sealed: list[Any] = [one.reply_text for one in claimed]
    for ticket in about.values():
        sealed += [ticket.subject, *(kept["id"] for kept in ticket.message_ids)]
    for person in people.values():
        sealed += [person.address, person.name]
    return {one.recipient.id for one in claimed} | {
        person_id for value in sealed if (person_id := person_of(value)) is not None
    }


def _values(house: House, letter: Letter) -> dict[str, str]:
    about, details, language = letter.about, letter.claimed.details, letter.language
    values = {
        "number": str(about.number),
        # What anybody may have typed into a form is not sent to the address that they typed beside it.
        "subject": about.line_name if letter.is_unverified else letter.subject or about.line_name,
        "line_name": about.line_name,
        "text": letter.reply_text,
        "operator_name": letter.operator_name,
        "recipient_name": letter.recipient_name,
        "priority": priority_in(language, about.priority),
        "level": str(about.level),
        "clock": clock_in(language, details.get("clock", "")),
        "until": _moment(house, letter, "until"),
        "due_at": _moment(house, letter, "due_at"),
        "forecast_at": _moment(house, letter, "forecast_at"),
    }
    return {name: values[name] for name in VARIABLES[letter.claimed.kind]}


def _moment(house: House, letter: Letter, name: str) -> str:
    at = letter.claimed.details.get(name)
    return "" if at is None else moment_in(letter.language, datetime.fromisoformat(at), house.zone)


def _rendered(opened: Opened, letter: Letter, values: Mapping[str, str]) -> Rendered:
    kind, language = letter.claimed.kind, letter.language
    saved = opened.templates.get((kind, language))
    if saved is not None:
        try:
            return render(saved.source, values)
        except RenderError as error:
            # A mail in the default words is better than none.
            log.error("a saved template gave no mail", kind=kind, language=language, cause=str(error))
    try:
        return render(default_of(kind, language), values)
    except RenderError:
        raise NotWritableError("unrenderable") from None
