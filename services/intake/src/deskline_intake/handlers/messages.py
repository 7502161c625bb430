"""Messages that were read are announced: what is looked up, decided and kept, a batch at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.postgres import Conn
from deskline_events.facts import Fact
from deskline_events.intake import CompanyRegistered, ContactRegistered
from deskline_intake.domain.addresses import company_domain
from deskline_intake.messages import locale_of, message_received
from deskline_intake.parser import Identity
from deskline_intake.ports import Company, Outcome, Person, ReadMail, Registry, Source, StoredMail

WINDOW: Final = timedelta(hours=24)
"""Without a Message-ID, equal mails within this time are one."""


class Deliveries:
    """Which deliveries were announced, those of this batch included."""

    def __init__(self, known: Iterable[Source] = ()) -> None:
        self._by_key: dict[tuple[UUID, str], Source] = {}
        self._by_message_id: dict[tuple[UUID, str], Source] = {}
        for source in known:
            self.add(source)

    def add(self, source: Source) -> None:
        key = (source.line_id, source.base_key)
        latest = self._by_key.get(key)
        if latest is None or latest.received_at <= source.received_at:
            self._by_key[key] = source
        if source.message_id_hash is not None:
            self._by_message_id.setdefault((source.line_id, source.message_id_hash), source)

    def first_of(self, mail: StoredMail, identity: Identity) -> Source | None:
        """The delivery that this one repeats."""
        found = self._by_key.get((mail.line.line_id, identity.source_key))
        if found is None or not identity.windowed:
            return found
        return found if abs(mail.received_at - found.received_at) < WINDOW else None

    def source(self, mail: StoredMail, identity: Identity) -> Source:
        """A delivery that is announced now; beyond the window an equal mail gets a key of its own."""
        again = (mail.line.line_id, identity.source_key) in self._by_key
        return Source(
            line_id=mail.line.line_id,
            source_key=identity.later_key if again else identity.source_key,
            base_key=identity.source_key,
            message_id_hash=identity.message_id_hash,
            raw_id=mail.raw_id,
            received_at=mail.received_at,
        )

    def repeats_message_id(self, mail: StoredMail, identity: Identity) -> bool:
        """Whether another mail had the same Message-ID on this line."""
        return (
            identity.message_id_hash is not None
            and (mail.line.line_id, identity.message_id_hash) in self._by_message_id
        )


@dataclass(slots=True)
class _Batch:
    """What one transaction adds."""

    people: dict[str, list[Person]]
    companies: dict[str, Company]
    new_companies: dict[str, Company] = field(default_factory=dict)
    new_contacts: list[Person] = field(default_factory=list)
    new_identities: list[tuple[str | None, Person]] = field(default_factory=list)
    verified: list[Person] = field(default_factory=list)
    new_sources: list[Source] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)

    def announce(self, stream: UUID, fact: Fact, read: ReadMail) -> None:
        cause = Cause(correlation_id=read.mail.raw_id, traceparent=read.traceparent)
        self.events.append(NewEvent(stream, fact, cause))


def announce_mails(
    connection: Conn, log: EventLog, registry: Registry, mails: Sequence[ReadMail]
) -> list[Outcome]:
    """Announce what was read, each delivery once; the caller holds the log's lock and none is dealt with."""
    deliveries = Deliveries(
        registry.sources(connection, [(m.mail.line.line_id, m.reading.identity) for m in mails])
    )
    addresses = {m.reading.sender for m in mails if m.reading.sender is not None}
    vouched = {m.reading.sender for m in mails if m.reading.sender is not None and m.mail.verified}
    domains = {domain for address in vouched if (domain := company_domain(address))}
    batch = _Batch(registry.people(connection, addresses), registry.companies(connection, domains))
    objects: list[ReadMail] = []
    outcomes: list[Outcome] = []
    for read in mails:
        first = deliveries.first_of(read.mail, read.reading.identity)
        state = "failed" if read.failed else "parsed"
        if first is not None:
            outcomes.append(
                Outcome(read.mail.raw_id, state, first.source_key, first.raw_id, erased=first.erased)
            )
            continue
        source = deliveries.source(read.mail, read.reading.identity)
        repeated = deliveries.repeats_message_id(read.mail, read.reading.identity)
        deliveries.add(source)
        batch.new_sources.append(source)
        person, new = _person(batch, read)
        fact = message_received(read, source.source_key, person, new=new, repeated=repeated)
        batch.announce(person.identity_id, fact, read)
        objects.append(read)
        outcomes.append(Outcome(read.mail.raw_id, state, source.source_key, None))
    _save(connection, log, registry, batch, objects)
    return outcomes


def _save(
    connection: Conn, log: EventLog, registry: Registry, batch: _Batch, mails: Sequence[ReadMail]
) -> None:
    if batch.new_companies:
        registry.save_companies(connection, batch.new_companies)
    if batch.new_identities:
        registry.save_people(connection, batch.new_contacts, batch.new_identities)
    if batch.verified:
        registry.verify_people(connection, batch.verified)
    log.keys.register(connection, [person.contact_id for person in batch.new_contacts])
    if batch.new_sources:
        registry.save_sources(connection, batch.new_sources)
    objects = [(read.mail.raw_id, found) for read in mails for found in read.stored]
    if objects:
        registry.save_objects(connection, objects)
    log.append(connection, batch.events)


def _person(batch: _Batch, read: ReadMail) -> tuple[Person, bool]:
    """The sender's identity on the line; an address is the same contact on every line."""
    line_id, address = read.mail.line.line_id, read.reading.sender
    known = batch.people.get(address, []) if address is not None else []
    if address is not None and known and read.mail.verified and not known[0].verified:
        known = batch.people[address] = _vouched_for(batch, read, address, known)
    for person in known:
        if person.line_id == line_id:
            return person, False
    if known:
        person = replace(known[0], line_id=line_id, identity_id=uuid7())
    else:
        person = _new_contact(batch, read, address)
    batch.new_identities.append((address, person))
    if address is not None:
        batch.people.setdefault(address, []).append(person)
    return person, not known


def _vouched_for(batch: _Batch, read: ReadMail, address: str, known: Sequence[Person]) -> list[Person]:
    """Whoever was only typed into a form before has now written by a channel that vouches for them."""
    company = _company(batch, read, address)
    company_id, tier = (None, None) if company is None else (company.company_id, company.tier)
    people = [replace(one, company_id=company_id, tier=tier, verified=True) for one in known]
    batch.verified.append(people[0])
    return people


def _new_contact(batch: _Batch, read: ReadMail, address: str | None) -> Person:
    locale = locale_of(read)
    verified = read.mail.verified
    company = _company(batch, read, address) if verified and address is not None else None
    person = Person(
        line_id=read.mail.line.line_id,
        identity_id=uuid7(),
        contact_id=uuid7(),
        company_id=None if company is None else company.company_id,
        tier=None if company is None else company.tier,
        locale=locale,
        verified=verified,
    )
    batch.new_contacts.append(person)
    fact = ContactRegistered(
        contact_id=person.contact_id,
        address=address,
        name=read.reading.sender_name or None,
        company_id=person.company_id,
        locale=locale,
    )
    batch.announce(person.contact_id, fact, read)
    return person


def _company(batch: _Batch, read: ReadMail, address: str) -> Company | None:
    domain = company_domain(address)
    if domain is None:
        return None
    known = batch.companies.get(domain)
    if known is None:
        known = Company(uuid7(), None, locale_of(read))
        batch.companies[domain] = batch.new_companies[domain] = known
        fact = CompanyRegistered(company_id=known.company_id, tier=known.tier, locale=known.locale)
        batch.announce(known.company_id, fact, read)
    return known
