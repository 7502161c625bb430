"""Stories of the whole journey: what sla and notify add to it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from services.analytics.tests.routed import Routed

from deskline_events import notify, sla
from deskline_events.tickets import DeliveryChanged


@dataclass
class Journey(Routed):
    """A story with operators, queues, clocks and notifications."""

    def start_clock(self, ticket_id: UUID, clock: str = "resolution", *, due: datetime | None = None) -> None:
        cycle = self._stage[ticket_id][1]
        clocks, line = self.course(ticket_id).clocks, self.tickets[ticket_id].line
        if (clock, cycle) in clocks:
            return
        started = self._clock
        due = due or started + timedelta(hours=self.random.randrange(1, 60))
        basis = {
            "policy_id": self.new_id(),
            "policy_version": 1,
            "calendar_id": self.new_id(),
            "calendar_version": 1,
            "target_seconds": 3600,
        }
        clocks[clock, cycle] = {"state": "running", "generation": 1, "due_at": due, "basis": basis}
        circumstances = {
            "line_id": line.line_id,
            "channel": "email",
            "language": "ru",
            "level": 1,
            "priority": "low",
        }
        self.tell_clock(
            ticket_id,
            sla.ClockStarted,
            (clock, cycle),
            started_at=started,
            due_at=due,
            basis=basis,
            circumstances=circumstances,
        )

    def tell_clock(self, ticket_id: UUID, model: Any, key: tuple[str, int], **more: Any) -> None:
        state = self.course(ticket_id).clocks[key]
        data = {"clock": key[0], "cycle": key[1], "generation": state["generation"]}
        self.say("sla", ticket_id, model.model_validate(data | more))

    def tick(self, ticket_id: UUID, what: str | None = None, clock: str | None = None) -> None:
        """Something happens to a clock of the ticket, where it has one that isn't over."""
        clocks = self.course(ticket_id).clocks
        going = [
            key
            for key, state in clocks.items()
            if state["state"] in {"running", "paused"} and clock in {None, key[0]}
        ]
        if not going:
            return
        key = self.random.choice(going)
        state = clocks[key]
        due, step = state["due_at"], {"step_due_at": state["due_at"], "due_at": state["due_at"]}
        told: dict[str, Callable[[], None]] = {
            "warn": lambda: self.tell_clock(
                ticket_id, sla.SlaWarned, key, step=f"at_{self.random.randrange(3)}", **step
            ),
            "breach": lambda: self.tell_clock(ticket_id, sla.SlaBreached, key, step="breach", **step),
            "pause": lambda: self.stop_clock(ticket_id, key, "paused"),
            "meet": lambda: self.stop_clock(ticket_id, key, "met"),
            "cancel": lambda: self.stop_clock(ticket_id, key, "cancelled"),
            "recalculate": lambda: self.recalculate(ticket_id, key, due + timedelta(hours=7)),
        }
        if state["state"] == "paused":
            due += timedelta(hours=3)
            state["state"], state["due_at"] = "running", due
            self.tell_clock(ticket_id, sla.ClockResumed, key, resumed_at=self._clock, due_at=due)
        told[what or self.random.choice(sorted(told))]()

    def stop_clock(self, ticket_id: UUID, key: tuple[str, int], how: str) -> None:
        state = self.course(ticket_id).clocks[key]
        state["state"] = how
        elapsed = self.random.randrange(100_000)
        if how == "paused":
            self.tell_clock(
                ticket_id,
                sla.ClockPaused,
                key,
                paused_at=self._clock,
                elapsed_seconds=elapsed,
                reason="waiting_customer",
            )
        elif how == "met":
            late = self.random.random() < 0.3
            self.tell_clock(
                ticket_id,
                sla.ClockMet,
                key,
                met_at=self._clock,
                due_at=state["due_at"],
                elapsed_seconds=elapsed,
                breached=late,
            )
        else:
            reason = self.random.choice(("merged", "spam", "abandoned"))
            self.tell_clock(ticket_id, sla.ClockCancelled, key, cancelled_at=self._clock, reason=reason)

    def recalculate(self, ticket_id: UUID, key: tuple[str, int], due: datetime) -> None:
        state = self.course(ticket_id).clocks[key]
        before, before_due = state["basis"], state["due_at"]
        state["generation"] += 1
        state["due_at"], state["basis"] = due, before | {"policy_version": before["policy_version"] + 1}
        self.tell_clock(
            ticket_id,
            sla.SlaRecalculated,
            key,
            before=before,
            before_due_at=before_due,
            basis=state["basis"],
            due_at=due,
            reason="priority",
        )

    def notify(self, ticket_id: UUID, kind: str = "acknowledgement", *, failed: bool = False) -> None:
        notification_id = self.new_id()
        contact = self.tickets[ticket_id].contact_id
        data = {
            "notification_id": notification_id,
            "event_id": self.new_id(),
            "kind": kind,
            "channel": "email",
            "recipient": {"kind": "contact", "id": contact},
            "reply_id": self.new_id() if kind == "reply" else None,
        }
        model: Any = notify.NotificationFailed if failed else notify.NotificationSent
        more = {"reason": "smtp_550"} if failed else {"message_id": "m@example.org"}
        event = self.say("notify", ticket_id, model.model_validate(data | more))
        if kind == "reply":
            state = "failed" if failed else "sent"
            fact = DeliveryChanged.model_validate(
                {"reply_id": data["reply_id"], "notification_id": notification_id, "state": state}
            )
            self.say("tickets", ticket_id, fact, event)

    def choices(self, ticket_id: UUID) -> list[Callable[[], None]]:
        if not self.operators:
            return super().choices(ticket_id)
        dice = self.random.random
        return [
            *super().choices(ticket_id),
            lambda: self.enqueue(ticket_id, self.random.randrange(2), refused=dice() < 0.2),
            lambda: self.requeue(ticket_id, self.random.randrange(2)),
            lambda: self.nobody(ticket_id),
            lambda: self.offer(ticket_id, refused=dice() < 0.2),
            lambda: self.accept(ticket_id, withdrawn_meanwhile=dice() < 0.3),
            lambda: self.accept(ticket_id),
            lambda: self.decline(ticket_id),
            lambda: self.end_offer(ticket_id, moved=dice() < 0.3),
            lambda: self.lose_assignee(ticket_id),
            lambda: self.unassign(ticket_id, "given_back"),
            lambda: self.escalate(ticket_id),
            lambda: self.start_clock(ticket_id, self.random.choice(("first_response", "resolution"))),
            lambda: self.start_clock(ticket_id),
            lambda: self.tick(ticket_id),
            lambda: self.tick(ticket_id),
            lambda: self.notify(
                ticket_id, self.random.choice(("acknowledgement", "reply", "breach")), failed=dice() < 0.3
            ),
        ]

    def live(self, tickets: int, events: int) -> Self:
        if not self.operators:
            self.staff()
        return super().live(tickets, events)
