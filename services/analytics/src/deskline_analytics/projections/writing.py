"""Writing: what a batch changes, one statement a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, get_args

from deskline_analytics.domain.rows import (
    Changes,
    ClockRow,
    DecisionRow,
    DocumentRow,
    FlowRow,
    LineRow,
    LoadRow,
    NotificationRow,
    NotifyPart,
    OperatorRow,
    OutcomeRow,
    Part,
    QueueRow,
    RoutingPart,
    SlaPart,
    TeamRow,
    TicketRow,
    TimelineRow,
)
from deskline_analytics.projections.columns import columns_of, from_arrays, insert, many, run, upsert
from deskline_analytics.projections.erasing import WORDS
from deskline_analytics.projections.loading import PARTS, TICKET_COLUMNS
from deskline_chassis.postgres import Conn


@dataclass(frozen=True, slots=True)
class _Target:
    """A table whose rows a batch overwrites or adds."""

    statement: str
    columns: Mapping[str, str]
    rows: Callable[[Changes], Any]

    def write(self, connection: Conn, changes: Changes) -> None:
        many(connection, self.statement, self.columns, self.rows(changes))


def _overwritten(
    table: str, row: type[Any], keys: tuple[str, ...], rows: Callable[[Changes], Any]
) -> _Target:
    columns = columns_of(row)
    return _Target(upsert(table, columns, keys), columns, rows)


_DOCUMENT_COLUMNS: Final = columns_of(DocumentRow)
_KEPT_OF_DOCUMENT: Final = tuple(name for name in _DOCUMENT_COLUMNS if name not in {"subject", "body"})
_INSERT_DOCUMENTS: Final = (
    f"INSERT INTO ticket_documents ({', '.join(_KEPT_OF_DOCUMENT)}, words)"
    f" SELECT {', '.join(_KEPT_OF_DOCUMENT)}, {WORDS.format(subject='subject', body='body')}"
    f" FROM ({from_arrays(_DOCUMENT_COLUMNS)}) AS new"
)
_PART_COLUMNS: Final = tuple(tuple(columns_of(part)) for part in PARTS)
_FIXED: Final = frozenset(
    {
        "number",
        "line_id",
        "line_name",
        "channel",
        "contact_id",
        "company_id",
        "tier",
        "locale",
        "subject",
        "opened_at",
    }
)
"""What the opening of a ticket says for good; an erasure alone changes its subject."""
# A group is told of by the events of one owner alone, whose stream the reader has locked: another reader may
# change the others at the same time, or make the row. In the order of keys, as two write the same rows.
_UNTOLD: Final = (
    "excluded.number IS NULL",
    "excluded.routing_decision IS NULL",
    "num_nonnulls(excluded.first_response_breached, excluded.resolution_breached) = 0",
    "excluded.notifications_sent + excluded.notifications_failed = 0",
)


def _kept(name: str, untold: str) -> str:
    # An erasure may have changed the subject since it was read.
    known = f"{untold} OR open_tickets.number IS NOT NULL" if name in _FIXED else untold
    return f"{name} = CASE WHEN {known} THEN open_tickets.{name} ELSE excluded.{name} END"


_PUT_TICKETS: Final = (
    f"{insert('open_tickets', TICKET_COLUMNS)} ORDER BY ticket_id ON CONFLICT (ticket_id) DO UPDATE SET "
    + ", ".join(
        _kept(name, untold) for names, untold in zip(_PART_COLUMNS, _UNTOLD, strict=True) for name in names
    )
)
_TARGETS: Final = (
    _Target(
        insert("ticket_timeline", columns_of(TimelineRow)),
        columns_of(TimelineRow),
        lambda changes: changes.timeline,
    ),
    _Target(_INSERT_DOCUMENTS, _DOCUMENT_COLUMNS, lambda changes: changes.documents),
    _overwritten(
        "routing_decisions", DecisionRow, ("decision_id",), lambda changes: changes.decisions.values()
    ),
    _overwritten(
        "routing_decisions", OutcomeRow, ("decision_id",), lambda changes: changes.outcomes.values()
    ),
    _overwritten(
        "sla_outcomes", ClockRow, ("ticket_id", "clock", "cycle"), lambda changes: changes.clocks.values()
    ),
    _overwritten(
        "notifications",
        NotificationRow,
        ("notification_id",),
        lambda changes: changes.notifications.values(),
    ),
    _overwritten("operators", OperatorRow, ("operator_id",), lambda changes: changes.operators.values()),
    _overwritten("teams", TeamRow, ("team_id",), lambda changes: changes.teams.values()),
    _overwritten("queues", QueueRow, ("queue_id",), lambda changes: changes.queues.values()),
)
_READ_PART: Final[dict[Part, Callable[[Any], Any]]] = {
    part: attrgetter(*names) for part, names in zip(get_args(Part), _PART_COLUMNS, strict=True)
}
_BEGINNING: Final[dict[Part, tuple[Any, ...]]] = {
    "card": (None,) * len(_PART_COLUMNS[0]),
    "routing": _READ_PART["routing"](RoutingPart()),
    "sla": _READ_PART["sla"](SlaPart()),
    "notify": _READ_PART["notify"](NotifyPart()),
}
"""What stands in the columns of owners who have told nothing."""
_LINE_COLUMNS: Final = columns_of(LineRow)
_of_flow: Final = attrgetter(*columns_of(FlowRow))
_of_load: Final = attrgetter(*columns_of(LoadRow))
_FLOW_COLUMNS: Final = {"bucket": "timestamptz", "line_id": "uuid"} | columns_of(FlowRow)
_ADD_FLOW: Final = upsert("daily_flow", _FLOW_COLUMNS, ("bucket", "line_id"), add=True)
_LOAD_COLUMNS: Final = {"day": "date", "operator_id": "uuid"} | columns_of(LoadRow)
_ADD_LOAD: Final = upsert("operator_load", _LOAD_COLUMNS, ("day", "operator_id"), add=True)
_TELL_LINES: Final = (
    upsert("lines", _LINE_COLUMNS, ("line_id",))
    + " WHERE (lines.told_at, lines.told_by) < (excluded.told_at, excluded.told_by)"
)
_FRESH_COLUMNS: Final = {"owner": "text", "as_of": "timestamptz"}
_REFRESH: Final = (
    insert("freshness", _FRESH_COLUMNS)
    + " ON CONFLICT (owner) DO UPDATE SET as_of = greatest(freshness.as_of, excluded.as_of)"
)


def write(connection: Conn, changes: Changes) -> None:
    """Write a batch's changes; rows that readers share come last and in key order."""
    run(connection, _PUT_TICKETS, TICKET_COLUMNS, map(_values, changes.tickets.values()))
    for target in _TARGETS:
        target.write(connection, changes)
    _share(connection, changes)


def _share(connection: Conn, changes: Changes) -> None:
    lines = [changes.lines[line] for line in sorted(changes.lines)]
    many(connection, _TELL_LINES, _LINE_COLUMNS, lines)
    flow = [[*key, *_of_flow(changes.flow[key])] for key in sorted(changes.flow)]
    run(connection, _ADD_FLOW, _FLOW_COLUMNS, flow)
    load = [[*key, *_of_load(changes.load[key])] for key in sorted(changes.load)]
    run(connection, _ADD_LOAD, _LOAD_COLUMNS, load)
    run(connection, _REFRESH, _FRESH_COLUMNS, sorted(changes.fresh.items()))


def _values(row: TicketRow) -> list[Any]:
    values: list[Any] = [row.ticket_id]
    for part, read in _READ_PART.items():
        values += read(getattr(row, part)) if part in row.told else _BEGINNING[part]
    return values
