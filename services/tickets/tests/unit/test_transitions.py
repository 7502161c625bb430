"""Every cell of the table of transitions: who may move a ticket from where to where."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest

from deskline_events.tickets import Actor, Stage
from deskline_tickets.domain.commands import ChangeStage
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import StageChanged, TicketAccepted
from deskline_tickets.domain.refusals import IllegalMove, MissingRequirement, NotPermitted
from deskline_tickets.domain.stages import ENDS, MOVES, SEEN_BY, Who, find_move, legal_moves, standing
from deskline_tickets.domain.ticket import Ticket

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 3, tzinfo=UTC)
STAGES: tuple[Stage, ...] = get_args(Stage)
ACTORS: dict[Who, tuple[Actor, frozenset[str]]] = {
    "operator": (Actor(kind="operator", id=UUID(int=3)), frozenset({"operator"})),
    "lead": (Actor(kind="operator", id=UUID(int=3)), frozenset({"lead"})),
    "contact": (Actor(kind="contact", id=UUID(int=2)), frozenset()),
    "system": (Actor(kind="system"), frozenset()),
}
# Written by hand, to hold the table to its source (o operator and lead, c contact, s system).
EXPECTED: dict[tuple[str, str], str] = {
    ("new", "in_progress"): "o",
    ("new", "resolved"): "o",
    ("new", "spam"): "o",
    ("in_progress", "waiting_customer"): "o",
    ("in_progress", "waiting_third_party"): "o",
    ("in_progress", "waiting_until"): "o",
    ("in_progress", "resolved"): "o",
    ("in_progress", "spam"): "o",
    ("waiting_customer", "in_progress"): "oc",
    ("waiting_customer", "resolved"): "os",
    ("waiting_customer", "spam"): "o",
    ("waiting_third_party", "in_progress"): "oc",
    ("waiting_third_party", "resolved"): "o",
    ("waiting_third_party", "spam"): "o",
    ("waiting_until", "in_progress"): "ocs",
    ("waiting_until", "resolved"): "o",
    ("waiting_until", "spam"): "o",
    ("resolved", "closed"): "ocs",
    ("resolved", "in_progress"): "oc",
    ("closed", "in_progress"): "oc",
}


def change(who: Who, stage: Stage, **more: object) -> ChangeStage:
    actor, roles = ACTORS[who]
    fields = {"closing_reason": "solved", "until": NOW + timedelta(days=1), "expected_version": None} | more
    return ChangeStage(actor=actor, roles=roles, stage=stage, now=NOW, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("who", ACTORS)
@pytest.mark.parametrize("wanted", STAGES)
@pytest.mark.parametrize("stage", STAGES)
def test_a_move_is_made_where_the_table_has_it_and_refused_elsewhere(
    given: Callable[..., Ticket],
    moved: Callable[..., StageChanged],
    stage: Stage,
    wanted: Stage,
    who: Who,
) -> None:
    ticket = given(moved(stage)) if stage != "new" else given()
    if stage == wanted:
        return
    may = EXPECTED.get((stage, wanted), "")
    if {"operator": "o", "lead": "o", "contact": "c", "system": "s"}[who] in may:
        *taken, event = decide(ticket, change(who, wanted))
        assert isinstance(event, StageChanged)
        assert (event.before, event.after, event.actor) == (stage, wanted, ACTORS[who][0])
        # Whoever moves a new ticket to in_progress has it, and that raises the number by itself.
        assert [type(one) for one in taken] == [TicketAccepted] * ((stage, wanted) == ("new", "in_progress"))
        assert event.assignment_no == ticket.assignment_no + 1 + len(taken)
        assert event.cycle == ticket.cycle + (stage in {"resolved", "closed"} and wanted == "in_progress")
    else:
        refusal = NotPermitted if may else IllegalMove
        with pytest.raises(refusal) as refused:
            decide(ticket, change(who, wanted))
        if isinstance(refused.value, IllegalMove):
            assert refused.value.legal == legal_moves(stage, standing(*ACTORS[who]))
            assert all(move in str(refused.value) for move in refused.value.legal)


def test_the_table_has_one_row_for_each_pair_of_stages() -> None:
    assert len({(move.before, move.after) for move in MOVES}) == len(MOVES)


def test_every_stage_says_who_sees_it() -> None:
    assert set(SEEN_BY) == set(STAGES)
    assert all(SEEN_BY.values())
    taken = find_move("new", "in_progress")
    assert taken is not None
    assert taken.seen_by == {"assignee", "team_lead"}


def test_nothing_leaves_an_end() -> None:
    assert not [move for move in MOVES if move.before in ENDS]


@pytest.mark.parametrize("reason", [None, ""])
def test_resolving_needs_a_closing_reason(given: Callable[..., Ticket], reason: str | None) -> None:
    with pytest.raises(MissingRequirement) as refused:
        decide(given(), change("operator", "resolved", closing_reason=reason))
    assert refused.value.requirement == "closing_reason"


@pytest.mark.parametrize("until", [None, NOW, NOW - timedelta(1), datetime(2099, 1, 1)])  # noqa: DTZ001
def test_waiting_until_needs_a_time_to_come_with_its_zone(
    given: Callable[..., Ticket], moved: Callable[..., StageChanged], until: datetime | None
) -> None:
    with pytest.raises(MissingRequirement) as refused:
        decide(given(moved("in_progress")), change("operator", "waiting_until", until=until))
    assert refused.value.requirement == "until"


def test_a_move_keeps_only_what_its_row_needs(
    given: Callable[..., Ticket], moved: Callable[..., StageChanged]
) -> None:
    (event,) = decide(given(moved("in_progress")), change("operator", "waiting_customer"))
    assert isinstance(event, StageChanged)
    assert event.closing_reason is None
    assert event.until is None


@pytest.mark.parametrize(
    ("kind", "roles", "counts_as"),
    [
        ("operator", {"operator"}, {"operator"}),
        ("operator", {"lead"}, {"operator", "lead"}),
        ("operator", {"admin", "analyst"}, set()),
        ("operator", set(), set()),
        ("contact", {"lead"}, {"contact"}),
        ("system", {"lead"}, {"system"}),
    ],
)
def test_roles_count_for_operators_only(kind: str, roles: set[str], counts_as: set[str]) -> None:
    assert standing(Actor.model_validate({"kind": kind}), roles) == counts_as
