"""To which ticket a message goes: the four rules in order, strangers, machines, ends."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from deskline_events.facts import Channel
from deskline_events.intake import MessageKind
from deskline_events.tickets import Link, Stage
from deskline_tickets.domain.events import StageChanged, TicketOpened
from deskline_tickets.domain.threading import (
    MOST_REFERENCES,
    Append,
    Incoming,
    Open,
    SetAside,
    Target,
    Traces,
    candidates_for,
    choose_target,
    traces_in,
)
from deskline_tickets.domain.ticket import Ticket, evolve
from deskline_tickets.domain.tokens import issue_reply_token, message_id_hash

pytestmark = pytest.mark.unit

KEY = b"k" * 32
WINDOW = timedelta(days=7)
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CUSTOMER, STRANGER, LINE, OTHER_LINE = (UUID(int=n) for n in (2, 99, 4, 5))
A, B = UUID(int=0xA), UUID(int=0xB)
STORED = "<first@customer.example>"


class Desk:
    """Tickets as a database would hold them, looked up by what a message's traces name."""

    def __init__(self, opening: TicketOpened, moved: Callable[..., StageChanged]) -> None:
        self._opening = opening
        self._moved = moved
        self.tickets: dict[UUID, Ticket] = {}
        self.stored: dict[bytes, UUID] = {}
        self.numbers: dict[int, UUID] = {}

    def has(self, ticket_id: UUID, stage: Stage = "in_progress", number: int = 7, line: UUID = LINE) -> None:
        opening = self._opening.model_copy(
            update={"number": number, "line": self._opening.line.model_copy(update={"line_id": line})}
        )
        ticket = evolve(None, opening, ticket_id=ticket_id, version=1, time=START)
        if stage != "new":
            ticket = evolve(ticket, self._moved(stage), ticket_id=ticket_id, version=2, time=START)
        self.tickets[ticket_id] = ticket
        self.numbers[number] = ticket_id
        self.stored[message_id_hash(line, STORED)] = ticket_id

    def target(
        self,
        *,
        sender: UUID = CUSTOMER,
        kind: MessageKind = "human",
        line: UUID = LINE,
        after: timedelta = timedelta(days=1),
        channel: Channel = "email",
        subject: str = "",
        reply_token: str | None = None,
        references: str | None = None,
        bounced: str | None = None,
    ) -> Target:
        message = Incoming(
            line_id=line,
            sender=sender,
            kind=kind,
            received_at=START + after,
            channel=channel,
            subject=subject,
            reply_token=reply_token,
            references=references,
            bounced=bounced,
        )
        found = candidates_for(traces_in(message, KEY), self.tickets, self.stored, self.numbers)
        return choose_target(message, found, window=WINDOW)


@pytest.fixture
def desk(opening: TicketOpened, moved: Callable[..., StageChanged]) -> Desk:
    return Desk(opening, moved)


def ours(ticket: UUID) -> str:
    return f"<mzxw6ytboi2dgnbvgy3tqojqmf.{issue_reply_token(KEY, ticket)}@desk.example>"


def forged(text: str) -> str:
    return text[:-1] + ("a" if text[-1] != "a" else "e")


@pytest.mark.parametrize(
    "trace",
    [
        {"reply_token": issue_reply_token(KEY, A)},
        {"references": f"<x@y> {ours(A)}"},
        {"references": f"{STORED} <x@y>"},
        {"subject": "Re: [#7] Принтер"},
    ],
    ids=["token", "own Message-ID", "stored Message-ID", "number"],
)
def test_each_trace_alone_leads_a_participant_to_the_ticket_and_a_stranger_to_a_suspect_one(
    desk: Desk, trace: dict[str, str]
) -> None:
    desk.has(A)
    assert desk.target(**trace) == Append(A)  # type: ignore[arg-type]
    opened = desk.target(sender=STRANGER, **trace)  # type: ignore[arg-type]
    assert opened == Open(Link(kind="suspected_reply_to", ticket_id=A))
    assert isinstance(opened, Open)
    assert opened.suspect


def test_a_message_without_traces_opens_a_ticket(desk: Desk) -> None:
    desk.has(A)
    assert desk.target(subject="Принтер") == Open()
    assert not Open().suspect
    assert not Open(Link(kind="follow_up_of", ticket_id=A)).suspect


def test_the_first_rule_that_matches_wins(desk: Desk) -> None:
    desk.has(A, number=7)
    desk.has(B, number=8, line=OTHER_LINE)
    token, own, stored, number = issue_reply_token(KEY, B), ours(B), STORED, "[#8]"
    assert desk.target(reply_token=token, references=ours(A), subject="[#7]") == Append(B)
    assert desk.target(references=f"{stored} {own}", subject="[#7]") == Append(B)
    assert desk.target(references=f"{own} {stored}", subject="[#7]") == Append(B)
    assert desk.target(references=stored, subject=number) == Append(A)
    assert desk.target(subject=number) == Append(B)


def test_of_several_references_the_nearest_counts(desk: Desk) -> None:
    desk.has(A)
    desk.has(B, number=8)
    assert desk.target(references=f"{ours(A)} {ours(B)}") == Append(B)
    assert desk.target(references=f"{ours(B)} {ours(A)}") == Append(A)


def test_a_ticket_of_ones_own_goes_before_a_nearer_one_of_others(desk: Desk) -> None:
    desk.has(A)
    desk.has(B, number=8)
    desk.tickets[B] = evolve(
        None,
        desk._opening.model_copy(update={"contact_id": STRANGER}),
        ticket_id=B,
        version=1,
        time=START,
    )
    assert desk.target(references=f"{ours(A)} {ours(B)}") == Append(A)


def test_a_forged_token_or_message_id_counts_for_nothing(desk: Desk) -> None:
    desk.has(A)
    token, local = issue_reply_token(KEY, A), ours(A).partition("@")[0]
    for sender in (CUSTOMER, STRANGER):
        assert desk.target(sender=sender, reply_token=forged(token)) == Open()
        assert desk.target(sender=sender, references=f"{forged(local)}@desk.example>") == Open()
        assert desk.target(sender=sender, reply_token=issue_reply_token(b"other", A)) == Open()
        assert desk.target(sender=sender, reply_token=A.hex) == Open()


def test_what_is_typed_into_a_form_opens_a_ticket_whatever_it_names(desk: Desk) -> None:
    desk.has(A)
    typed = {"reply_token": issue_reply_token(KEY, A), "references": f"{STORED} {ours(A)}", "subject": "[#7]"}
    assert desk.target(**typed) == Append(A)  # type: ignore[arg-type]
    assert desk.target(channel="form", **typed) == Open()  # type: ignore[arg-type]


def test_after_a_forged_token_the_next_rules_are_asked(desk: Desk) -> None:
    desk.has(A)
    assert desk.target(reply_token=forged(issue_reply_token(KEY, A)), subject="[#7]") == Append(A)


def test_a_stored_message_id_counts_on_its_own_line_only(desk: Desk) -> None:
    desk.has(A, line=LINE)
    assert desk.target(references=STORED, line=OTHER_LINE) == Open()
    # Whatever was looked up: the rule looks at the line once more.
    message = Incoming(line_id=OTHER_LINE, sender=CUSTOMER, kind="human", received_at=START)
    found = candidates_for(
        traces_in(
            Incoming(line_id=LINE, sender=CUSTOMER, kind="human", received_at=START, references=STORED), KEY
        ),
        desk.tickets,
        desk.stored,
        desk.numbers,
    )
    assert choose_target(message, found, window=WINDOW) == Open()


@pytest.mark.parametrize("trace", [{"reply_token": issue_reply_token(KEY, A)}, {"references": ours(A)}])
def test_what_our_key_verified_counts_on_any_line(desk: Desk, trace: dict[str, str]) -> None:
    desk.has(A, line=LINE)
    assert desk.target(line=OTHER_LINE, **trace) == Append(A)  # type: ignore[arg-type]


def test_traces_to_tickets_that_are_not_there_open_one(desk: Desk) -> None:
    assert desk.target(reply_token=issue_reply_token(KEY, A), references=ours(B), subject="[#9]") == Open()


def test_thousands_of_references_are_not_looked_up(desk: Desk) -> None:
    message = Incoming(
        line_id=LINE,
        sender=CUSTOMER,
        kind="human",
        received_at=START,
        references=" ".join(f"<{n}@x>" for n in range(5_000)),
    )
    assert len(traces_in(message, KEY).stored_message_ids) == MOST_REFERENCES


@pytest.mark.parametrize(
    ("stage", "after", "target"),
    [
        ("new", timedelta(days=90), Append(A)),
        ("waiting_customer", timedelta(days=90), Append(A)),
        ("resolved", timedelta(days=90), Append(A)),
        ("closed", -timedelta(minutes=1), Append(A)),
        ("closed", WINDOW, Append(A)),
        ("closed", WINDOW + timedelta(seconds=1), Open(Link(kind="follow_up_of", ticket_id=A))),
        ("abandoned", timedelta(0), Open(Link(kind="follow_up_of", ticket_id=A))),
        ("merged", timedelta(0), Open(Link(kind="follow_up_of", ticket_id=A))),
        ("spam", timedelta(0), Open()),
    ],
)
def test_a_participants_reply_goes_where_the_stage_says(
    desk: Desk, stage: Stage, after: timedelta, target: Target
) -> None:
    desk.has(A, stage)
    assert desk.target(references=ours(A), after=after) == target


def test_a_stranger_gets_no_link_to_spam(desk: Desk) -> None:
    desk.has(A, "spam")
    assert desk.target(sender=STRANGER, references=ours(A)) == Open()


@pytest.mark.parametrize("stage", ["in_progress", "closed", "spam", "abandoned"])
@pytest.mark.parametrize("kind", ["auto_reply", "list"])
def test_a_participants_automatic_mail_stays_with_the_ticket_in_any_stage(
    desk: Desk, kind: MessageKind, stage: Stage
) -> None:
    desk.has(A, stage)
    assert desk.target(kind=kind, references=ours(A), after=timedelta(days=90)) == Append(A)


def test_an_automatic_reply_without_ticket_opens_one(desk: Desk) -> None:
    assert desk.target(kind="auto_reply", subject="Disk full") == Open()


def test_a_strangers_automatic_reply_opens_a_suspect_ticket(desk: Desk) -> None:
    desk.has(A)
    target = desk.target(kind="auto_reply", sender=STRANGER, references=ours(A))
    assert target == Open(Link(kind="suspected_reply_to", ticket_id=A))


def test_a_list_without_a_ticket_of_its_sender_is_set_aside(desk: Desk) -> None:
    desk.has(A)
    assert desk.target(kind="list") == SetAside("list")
    assert desk.target(kind="list", sender=STRANGER, references=ours(A)) == SetAside("list")


def test_our_own_loop_is_set_aside_whatever_it_names(desk: Desk) -> None:
    desk.has(A)
    target = desk.target(kind="own_loop", reply_token=issue_reply_token(KEY, A), references=ours(A))
    assert target == SetAside("own_loop")


@pytest.mark.parametrize("embedded", [ours(A), STORED])
def test_a_bounce_finds_its_ticket_by_what_it_embeds_whoever_sent_it(desk: Desk, embedded: str) -> None:
    desk.has(A)
    assert desk.target(kind="bounce", sender=STRANGER, bounced=f"<x@y> {embedded}") == Append(A)


@pytest.mark.parametrize("embedded", [ours(A), STORED])
def test_a_bounce_on_another_line_is_set_aside(desk: Desk, embedded: str) -> None:
    desk.has(A)
    assert desk.target(kind="bounce", line=OTHER_LINE, bounced=embedded) == SetAside("bounce")


def test_a_bounce_leaves_no_trace_but_what_it_embeds() -> None:
    message = Incoming(
        line_id=LINE,
        sender=CUSTOMER,
        kind="bounce",
        received_at=START,
        subject="[#7]",
        reply_token=issue_reply_token(KEY, A),
        references=ours(A),
    )
    assert traces_in(message, KEY) == Traces()


def test_a_bounce_that_embeds_nothing_of_ours_is_set_aside(desk: Desk) -> None:
    desk.has(A)
    target = desk.target(
        kind="bounce",
        bounced="<x@y>",
        references=ours(A),
        subject="[#7]",
        reply_token=issue_reply_token(KEY, A),
    )
    assert target == SetAside("bounce")


def test_our_message_id_of_another_domain_is_not_ours_where_domains_are_named() -> None:
    message = Incoming(line_id=LINE, sender=CUSTOMER, kind="human", received_at=START, references=ours(A))
    assert traces_in(message, KEY).by_own_message_id == (A,)
    assert traces_in(message, KEY, {"desk.example"}).by_own_message_id == (A,)
    assert traces_in(message, KEY, {"other.example"}).by_own_message_id == ()
