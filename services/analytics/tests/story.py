"""Stories that intake and tickets might tell: messages, answers, stages."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Self
from uuid import UUID, uuid5

from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.facts import Customer, Fact, Line
from deskline_events.intake import ContactRegistered, MessageReceived
from deskline_events.tickets import (
    Actor,
    AutomaticMessageAdded,
    CustomerMessage,
    CustomerReplied,
    MessageSetAside,
    NoteAdded,
    OperatorReplied,
    PriorityChanged,
    StageChanged,
    TicketOpened,
)

BEGIN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
Told = tuple[str, UUID, Fact]
"""(owner, stream, fact)"""


@dataclass
class Story:
    """A repeatable tale of tickets; `told` is in a plausible order."""

    seed: int = 1
    told: list[Told] = field(default_factory=list)
    contacts: list[UUID] = field(default_factory=list)
    tickets: dict[UUID, TicketOpened] = field(default_factory=dict)
    causes: dict[UUID, UUID] = field(default_factory=dict)
    canary: str = "canary-3f9a"

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._counts: Counter[tuple[str, UUID]] = Counter()
        self._counted = 0
        self._stage: dict[UUID, tuple[str, int, int]] = {}
        self._clock = BEGIN
        lines: tuple[tuple[str, Literal["ru", "en"]], ...] = (("Поддержка", "ru"), ("Support", "en"))
        self.lines = [
            Line(line_id=self.new_id(), name=name, channel="email", language=language)
            for name, language in lines
        ]

    def new_id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def somebody(self) -> UUID:
        """An operator."""
        return self.new_id()

    def say(self, owner: str, stream: UUID, fact: Fact, cause: UUID | None = None) -> UUID:
        """Tell a fact; gives the id that its event has in every log that says the same."""
        self.told.append((owner, stream, fact))
        if self._counted != len(self.told) - 1:
            self._counts.clear()  # a test took back what was told
            for name, of, _ in self.told[:-1]:
                self._counts[name, of] += 1
        self._counts[owner, stream] += 1
        self._counted, sequence = len(self.told), self._counts[owner, stream]
        identity = event_id(source_of(owner), stream, sequence, 1)
        if cause is not None:
            self.causes[identity] = cause
        return identity

    def cause_of(self, identity: UUID) -> UUID:
        """What caused an event; made up where nobody said."""
        return self.causes.get(identity) or uuid5(identity, "cause")

    def message(self, kind: str = "human") -> CustomerMessage:
        self._clock += timedelta(minutes=self.random.randrange(40), seconds=1)
        return CustomerMessage.model_validate(
            {
                "source_key": f"{self.random.getrandbits(256):064x}",
                "received_at": self._clock,
                "kind": kind,
                "text": f"{self.canary} text",
            }
        )

    def meet(self) -> UUID:
        contact_id = self.new_id()
        self.contacts.append(contact_id)
        self.say(
            "intake", contact_id, ContactRegistered(contact_id=contact_id, name=self.canary, locale="ru")
        )
        return contact_id

    def receive(self, contact_id: UUID, line: Line, message: CustomerMessage) -> None:
        received = MessageReceived(
            raw_id=self.new_id(),
            source_key=message.source_key,
            line=line,
            contact_id=contact_id,
            customer=Customer(contact_id=contact_id),
            received_at=message.received_at,
            kind=message.kind,
            subject=f"{self.canary} subject",
            text=message.text,
        )
        # The stream of a message is its sender's identity on the line.
        self.say("intake", uuid5(contact_id, str(line.line_id)), received)

    def open(self, contact_id: UUID | None = None, *, kind: str = "human") -> UUID:
        contact_id = contact_id or self.meet()
        line, ticket_id = self.random.choice(self.lines), self.new_id()
        message = self.message(kind)
        self.receive(contact_id, line, message)
        opened = TicketOpened(
            number=1000 + len(self.tickets),
            line=line,
            contact_id=contact_id,
            customer=Customer(contact_id=contact_id),
            subject=f"{self.canary} subject {len(self.tickets)}",
            message=message,
            priority=self.random.choice(("low", "medium", "high")),
            reply_token="t",
        )
        self.tickets[ticket_id] = opened
        self._stage[ticket_id] = ("new", 1, 0)
        self.say("tickets", ticket_id, opened)
        return ticket_id

    def reply(self, ticket_id: UUID, kind: str = "human") -> None:
        opened, message = self.tickets[ticket_id], self.message(kind)
        self.receive(opened.contact_id, opened.line, message)
        model = CustomerReplied if kind == "human" else AutomaticMessageAdded
        self.say("tickets", ticket_id, model(contact_id=opened.contact_id, message=message))

    def say_reply(self, ticket_id: UUID, message: CustomerMessage, contact_id: UUID | None = None) -> None:
        """A message on the ticket, by its contact or another participant."""
        contact_id = contact_id or self.tickets[ticket_id].contact_id
        self.say("tickets", ticket_id, CustomerReplied(contact_id=contact_id, message=message))

    def answer(self, ticket_id: UUID) -> None:
        contact_id = self.tickets[ticket_id].contact_id
        self.say(
            "tickets",
            ticket_id,
            OperatorReplied(
                reply_id=self.new_id(),
                operator_id=self.somebody(),
                contact_id=contact_id,
                text=f"{self.canary} answer",
                seen_version=1,
            ),
        )

    def note(self, ticket_id: UUID) -> None:
        self.say("tickets", ticket_id, NoteAdded(note_id=self.new_id(), operator_id=self.new_id()))

    def move(self, ticket_id: UUID, after: str) -> None:
        before, cycle, number = self._stage[ticket_id]
        if before in {"resolved", "closed"} and after == "in_progress":
            cycle += 1
        self._stage[ticket_id] = (after, cycle, number + 1)
        fact = StageChanged.model_validate(
            {
                "before": before,
                "after": after,
                "actor": Actor(kind="operator", id=self.somebody()),
                "cycle": cycle,
                "assignment_no": number + 1,
                "closing_reason": "solved" if after == "resolved" else None,
            }
        )
        self.say("tickets", ticket_id, fact)

    def prioritise(self, ticket_id: UUID) -> None:
        fact = PriorityChanged(before="low", after="critical", actor=Actor(kind="system"))
        self.say("tickets", ticket_id, fact)

    def set_aside(self) -> None:
        message = self.message("bounce")
        contact_id, line = self.contacts[0] if self.contacts else self.meet(), self.random.choice(self.lines)
        self.receive(contact_id, line, message)
        fact = MessageSetAside(
            source_key=message.source_key,
            line_id=line.line_id,
            contact_id=contact_id,
            received_at=message.received_at,
            reason="bounce",
        )
        self.say("tickets", self.new_id(), fact)

    def go_on(self, ticket_id: UUID) -> None:
        """Something that may happen to a ticket next."""
        self.random.choice(self.choices(ticket_id))()

    def choices(self, ticket_id: UUID) -> list[Callable[[], None]]:
        """What may happen to a ticket next."""
        stage = self._stage[ticket_id][0]
        following = {
            "new": ("in_progress", "resolved"),
            "in_progress": ("waiting_customer", "resolved"),
            "waiting_customer": ("in_progress", "resolved"),
            "resolved": ("closed", "in_progress"),
            "closed": ("in_progress",),
        }[stage]
        return [
            lambda: self.reply(ticket_id),
            lambda: self.reply(ticket_id, "auto_reply"),
            lambda: self.answer(ticket_id),
            lambda: self.note(ticket_id),
            lambda: self.prioritise(ticket_id),
            lambda: self.move(ticket_id, self.random.choice(following)),
            lambda: self.move(ticket_id, following[0]),
        ]

    def live(self, tickets: int, events: int) -> Self:
        """Open so many tickets and let so many things happen to them."""
        for number in range(tickets):
            again = number % 4 == 3
            self.open(self.contacts[-1] if again else None, kind="auto_reply" if number % 7 == 6 else "human")
        for number in range(events):
            self.go_on(self.random.choice(list(self.tickets)))
            if number % 10 == 9:
                self.set_aside()
        return self

    def events(self) -> list[tuple[Envelope, Fact]]:
        """What was told, in envelopes, as the owners' logs would stamp them."""
        counts: dict[tuple[str, UUID], int] = {}
        enveloped = []
        for place, (owner, stream, fact) in enumerate(self.told):
            sequence = counts[owner, stream] = counts.get((owner, stream), 0) + 1
            identity = event_id(source_of(owner), stream, sequence, 1)
            enveloped.append(
                (
                    Envelope(
                        id=identity,
                        source=source_of(owner),
                        type=fact.TYPE,
                        time=BEGIN + timedelta(minutes=3 * place),
                        subject=stream,
                        sequence=sequence,
                        correlation_id=uuid5(stream, "story"),
                        causation_id=self.cause_of(identity),
                        epoch=1,
                        generation=1,
                    ),
                    fact,
                )
            )
        return enveloped
