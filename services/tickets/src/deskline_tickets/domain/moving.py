"""Moves by the table of transitions, what goes with them, and priority as people set it."""

from datetime import datetime

from deskline_events.facts import Fact
from deskline_events.tickets import Actor, Stage
from deskline_tickets.domain.checks import NO_REPLY_IN, permit, person, refuse_stale
from deskline_tickets.domain.commands import ChangePriority, ChangeStage, ReplyToCustomer
from deskline_tickets.domain.events import PriorityChanged, StageChanged
from deskline_tickets.domain.refusals import IllegalMove, MissingRequirement, NotPermitted, TicketEnded
from deskline_tickets.domain.stages import STAFF, WAITING, Move, Who, find_move, legal_moves, standing
from deskline_tickets.domain.ticket import Ticket
from deskline_tickets.domain.unfolding import Unfolding

Moving = ChangeStage | ReplyToCustomer


def change_stage(ticket: Ticket, command: ChangeStage) -> tuple[Fact, ...]:
    """→ StageChanged and what goes with it; quiet where the ticket is there already, for the same reason
    or until the same time; → TicketAccepted where it is in progress already and nobody has it.
    """
    who = standing(command.actor, command.roles)
    stranger = command.actor.kind == "contact" and command.actor.id not in ticket.participants
    if not who or stranger:
        raise NotPermitted("move this ticket", ("operator", "lead", "its participants"))
    unfolding = Unfolding(ticket)
    if _is_there(ticket, command):
        nobodys = ticket.stage == "in_progress" and ticket.assignee_id is None
        # Who names no version may be repeating the move that led here.
        if nobodys and command.expected_version is not None and not who.isdisjoint(STAFF):
            refuse_stale(ticket, command.expected_version)
            unfolding.assign(person(command.actor, "take a ticket"), command.actor)
        return unfolding.facts
    refuse_stale(ticket, command.expected_version)
    move = _find_legal(ticket.stage, command.stage, who)
    _check_needs(move, command)
    make_move(unfolding, move, command.actor, command, keeps_assignee=command.keeps_assignee)
    return unfolding.facts


def change_priority(ticket: Ticket, command: ChangePriority) -> tuple[Fact, ...]:
    """→ PriorityChanged; quiet where that is the priority already."""
    who = permit(command, "change the priority")
    if command.priority == ticket.priority:
        return ()
    refuse_stale(ticket, command.expected_version)
    if ticket.stage in NO_REPLY_IN:
        raise TicketEnded(ticket.stage, legal_moves(ticket.stage, who))
    return (PriorityChanged(before=ticket.priority, after=command.priority, actor=command.actor),)


def move_with_reply(unfolding: Unfolding, command: ReplyToCustomer, who: frozenset[Who]) -> None:
    """Who answers a new ticket has taken it; then it goes where the operator wants it."""
    ticket = unfolding.ticket
    # A move that the customer's newer words contradict waits.
    wanted = command.then_stage if ticket.last_customer_version <= command.seen_version else None
    # From one kind of waiting to another, or from resolved to waiting, leads through in_progress.
    through = wanted in WAITING and ticket.stage != "in_progress" and not _is_there(ticket, command)
    if ticket.stage == "new" or through:
        move = _find_legal(ticket.stage, "in_progress", who)
        make_move(unfolding, move, command.actor, keeps_assignee=command.keeps_assignee)
    if wanted is not None and not _is_there(unfolding.ticket, command):
        move = _find_legal(unfolding.ticket.stage, wanted, who)
        _check_needs(move, command)
        make_move(unfolding, move, command.actor, command, keeps_assignee=command.keeps_assignee)


def make_move(
    unfolding: Unfolding,
    move: Move,
    actor: Actor,
    command: Moving | None = None,
    *,
    keeps_assignee: bool,
) -> None:
    """Whoever takes a new ticket has it; an open offer ends, for it rests on the number that a move raises;
    who had a reopened ticket keeps it while they serve its queue.
    """
    if (move.before, move.after) == ("new", "in_progress"):
        unfolding.assign(person(actor, "take a ticket"), actor)
    else:
        unfolding.end_offer()
    unfolding.add(
        StageChanged(
            before=move.before,
            after=move.after,
            actor=actor,
            cycle=unfolding.ticket.cycle + move.reopens,
            assignment_no=unfolding.next_no,
            closing_reason=command.closing_reason if command and move.needs == "closing_reason" else None,
            until=command.until if command and move.needs == "until" else None,
        )
    )
    if move.reopens and not keeps_assignee:
        unfolding.unassign("operator_left", Actor(kind="system"))


def _is_there(ticket: Ticket, command: Moving) -> bool:
    stage = command.stage if isinstance(command, ChangeStage) else command.then_stage
    if stage != ticket.stage:
        return False
    if stage == "waiting_until":
        return command.until == ticket.until
    return stage != "resolved" or command.closing_reason == ticket.closing_reason


def _find_legal(stage: Stage, wanted: Stage, who: frozenset[Who]) -> Move:
    move = find_move(stage, wanted)
    if move is None:
        raise IllegalMove(stage, wanted, legal_moves(stage, who))
    if move.who.isdisjoint(who):
        raise NotPermitted(f"move a ticket from {stage} to {wanted}", tuple(sorted(move.who)))
    return move


def _check_needs(move: Move, command: Moving) -> None:
    if move.needs == "closing_reason" and not command.closing_reason:
        raise MissingRequirement("closing_reason", f"To make it {move.after}, give a closing reason.")
    if move.needs == "until" and not _is_later(command.until, command.now):
        raise MissingRequirement("until", "To wait, say until when: a time to come, with its zone.")


def _is_later(until: datetime | None, now: datetime) -> bool:
    return until is not None and until.tzinfo is not None and until > now
