"""Stories that lie in the weeks before a given moment, each event at a time of its own."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from services.analytics.tests.journey import Journey
from services.analytics.tests.routed import SYSTEM

from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_events.tickets import Escalated, StageChanged

LONGEST_PAUSE_MINUTES = 120
KINDS = ("human",) * 5 + ("auto_reply",)
ENDS = ("merged", "spam", "abandoned")
ENDING = 0.01
GOING_BACK = 0.05


@dataclass
class Dated(Journey):
    """A journey that begins at `begin`; an event is recorded when the story's clock stands there."""

    begin: datetime | None = None
    recorded: list[datetime] = field(default_factory=list)
    policies: tuple[UUID, UUID] = (UUID(int=1, version=4), UUID(int=2, version=4))

    def __post_init__(self) -> None:
        super().__post_init__()
        self._clock = self.begin or self._clock

    @classmethod
    def before(cls, now: datetime, seed: int, tickets: int, events: int) -> "Dated":
        """So many tickets and events, the last of them an hour before `now`; the same for the same seed.

        The last ticket's offer is declined, which is rare: questions of the last days find one on any day.
        """
        span = cls(seed).live(tickets - 1, events).decline_one()
        length = span.recorded[-1] - span.recorded[0]
        return cls(seed, begin=now - timedelta(hours=1) - length).live(tickets - 1, events).decline_one()

    def at(self, moment: datetime) -> Self:
        """Let the clock stand at this moment."""
        self._clock = moment
        return self

    def say(self, owner: str, stream: UUID, fact: Fact, cause: UUID | None = None) -> UUID:
        if hasattr(fact, "basis"):
            basis = fact.basis.model_copy(update={"policy_id": self.policies[stream.int % 2]})
            fact = fact.model_copy(update={"basis": basis})
        if isinstance(fact, StageChanged) and (fact.before, fact.after) == ("waiting_customer", "resolved"):
            fact = fact.model_copy(update={"closing_reason": "no_reply"})
        # A second apart, so that whoever orders by time has one order.
        self._clock += timedelta(seconds=1)
        self.recorded.append(self._clock)
        return super().say(owner, stream, fact, cause)

    def go_on(self, ticket_id: UUID) -> None:
        self._clock += timedelta(minutes=self.random.randrange(LONGEST_PAUSE_MINUTES))
        if self._stage[ticket_id][0] in ENDS:
            return
        dice = self.random.random()
        if dice < ENDING:
            self.tick(ticket_id, "cancel")
            self.move(ticket_id, self.random.choice(ENDS))
        elif dice < ENDING + GOING_BACK:
            self.step_down(ticket_id)
        else:
            super().go_on(ticket_id)

    def step_down(self, ticket_id: UUID) -> None:
        """The level above gives the ticket back."""
        course = self.course(ticket_id)
        if course.level > 1:
            self.unassign(ticket_id, "escalated")
            course.number, course.level = course.number + 1, course.level - 1
            fact = Escalated(
                before=course.level + 1,
                after=course.level,
                reason="criteria",
                actor=SYSTEM,
                assignment_no=course.number,
            )
            self.say("tickets", ticket_id, fact)

    def live(self, tickets: int, events: int) -> Self:
        """So many tickets, opened all the while, and so many moments at which something may happen."""
        self.staff()
        for number in range(events):
            if number % (events // tickets) == 0 and len(self.tickets) < tickets:
                again = len(self.tickets) % 4 == 3
                self.open(self.contacts[-1] if again else None, kind=self.random.choice(KINDS))
            self.go_on(self.random.choice(list(self.tickets)))
            if number % 10 == 9:
                self.set_aside()
        self.introduce(self.operators[0], self.teams[0], employed=False)
        return self

    def decline_one(self) -> Self:
        """Let a ticket more be opened, and its offer be declined."""
        last = self.open()
        self.offer(last)
        self.decline(last)
        return self

    def events(self) -> list[tuple[Envelope, Fact]]:
        return [
            (replace(envelope, time=at), fact)
            for (envelope, fact), at in zip(super().events(), self.recorded, strict=True)
        ]
