"""Between the levels of support: by people, and by steps of service levels, which may raise priority too."""

from datetime import datetime
from typing import Final, Literal, get_args

from deskline_events.facts import Fact, Priority
from deskline_events.tickets import Actor
from deskline_tickets.domain.assigning import SYSTEM_ACTOR, refused
from deskline_tickets.domain.checks import check_size, permit, refuse_erased, refuse_over, refuse_stale
from deskline_tickets.domain.commands import EscalateTicket, HandOver, TakeStep
from deskline_tickets.domain.events import Escalated, PriorityChanged, PriorityRaised
from deskline_tickets.domain.stages import OVER
from deskline_tickets.domain.ticket import Ticket, step_mark
from deskline_tickets.domain.unfolding import Unfolding

HIGHEST_LEVEL: Final = 3
_PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)


def escalate_ticket(ticket: Ticket, command: EscalateTicket) -> tuple[Fact, ...]:
    """→ Escalated, and before it what it brings with it; quiet where that is the level already."""
    who = permit(command, "send the ticket to another level")
    if command.level == ticket.level:
        return ()
    refuse_stale(ticket, command.expected_version)
    refuse_over(ticket, who)
    told = _trimmed(command.hand_over)
    if told != HandOver():
        refuse_erased(erased=command.erased)
    check_size(told.note, told.tried, told.reproduce, told.affected)
    unfolding = Unfolding(ticket)
    _escalate(unfolding, command.level, command.actor, "manual", told=told)
    return unfolding.facts


def take_step(ticket: Ticket, command: TakeStep) -> tuple[Fact, ...]:
    """→ Escalated or PriorityChanged, once per step; refused where that can't be, or the clock was met."""
    done = {str(command.decision_id), step_mark(command.key)}
    if not command.actions or not ticket.seen.isdisjoint(done):
        return ()
    reason = _unfit(ticket, command)
    if reason is not None:
        return (refused(ticket, "step", command.decision_id, reason, step_key=command.key),)
    unfolding = Unfolding(ticket)
    if "escalate" in command.actions and ticket.level < HIGHEST_LEVEL:
        _escalate(unfolding, ticket.level + 1, SYSTEM_ACTOR, "timeout", step=command)
    else:
        _raise_priority(unfolding, SYSTEM_ACTOR, command)
    return unfolding.facts


def _unfit(ticket: Ticket, command: TakeStep) -> str | None:
    met_at = _met_at(ticket, command)
    if met_at is not None and met_at <= command.due_at:
        return "clock_met"
    if command.clock == "resolution" and command.cycle != ticket.cycle:
        return "cycle_over"
    if ticket.stage in OVER:
        return "ended"
    if "escalate" in command.actions and ticket.level < HIGHEST_LEVEL:
        return None
    if "raise_priority" in command.actions:
        return "highest_priority" if _next_priority(ticket.priority) is None else None
    return "highest_level"


def _met_at(ticket: Ticket, command: TakeStep) -> datetime | None:
    if command.clock == "first_response":
        return ticket.first_human_reply_at
    return ticket.resolutions.get(command.cycle)


def _escalate(
    unfolding: Unfolding,
    level: int,
    actor: Actor,
    reason: Literal["manual", "timeout"],
    *,
    told: HandOver | None = None,
    step: TakeStep | None = None,
) -> None:
    told = told or HandOver()
    before = unfolding.ticket.level
    unfolding.end_offer()
    unfolding.unassign("escalated", actor)
    # Before it, so that whoever hears of the level chooses a queue by the priority that goes with it.
    if level > before:
        _raise_priority(unfolding, actor, step)
    unfolding.add(
        Escalated(
            before=before,
            after=level,
            reason=reason,
            actor=actor,
            assignment_no=unfolding.next_no,
            preferred_operator_id=unfolding.ticket.holders.get(level),
            step_key=step.key if step else None,
            has_note=told != HandOver(),
            contact_id=unfolding.ticket.contact_id,
            note=told.note,
            tried=told.tried,
            reproduce=told.reproduce,
            affected=told.affected,
            decision_id=step.decision_id if step else None,
        )
    )


def _raise_priority(unfolding: Unfolding, actor: Actor, step: TakeStep | None) -> None:
    before = unfolding.ticket.priority
    after = _next_priority(before)
    if after is None:
        return
    if step is None:
        unfolding.add(PriorityChanged(before=before, after=after, actor=actor))
    else:
        unfolding.add(
            PriorityRaised(
                before=before,
                after=after,
                actor=actor,
                step_key=step.key,
                decision_id=step.decision_id,
            )
        )


def _next_priority(priority: Priority) -> Priority | None:
    place = _PRIORITIES.index(priority) + 1
    return _PRIORITIES[place] if place < len(_PRIORITIES) else None


def _trimmed(told: HandOver) -> HandOver:
    def kept(text: str | None) -> str | None:
        return (text or "").strip() or None

    return HandOver(
        note=kept(told.note),
        tried=kept(told.tried),
        reproduce=kept(told.reproduce),
        affected=kept(told.affected),
    )
