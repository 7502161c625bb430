"""Writing: what a batch changes, one statement a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from deskline_analytics.domain.rows import (
    Changes,
    ClockRow,
    DecisionRow,
    DocumentRow,
    FlowRow,
    LineRow,
    LoadRow,
    NotificationRow,
    OperatorRow,
    OutcomeRow,
    QueueRow,
    TeamRow,
    TicketRow,
    TimelineRow,
)
from deskline_analytics.projections.columns import (
    columns_of,
    from_arrays,
    insert,
    many,
    upsert,
    values_of,
)
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
        columns = dict(self.columns)
        many(connection, self.statement, [values_of(row, columns) for row in self.rows(changes)])


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
_UPDATE_TICKETS: Final = (
    f"UPDATE open_tickets SET {', '.join(f'{name} = new.{name}' for name in TICKET_COLUMNS)}"
    f" FROM ({from_arrays(TICKET_COLUMNS)}) AS new WHERE open_tickets.ticket_id = new.ticket_id"
)
_PART_COLUMNS: Final = tuple(tuple(columns_of(part)) for part in PARTS)
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
_FLOW_COLUMNS: Final = {"bucket": "timestamptz", "line_id": "uuid"} | columns_of(FlowRow)
_ADD_FLOW: Final = upsert("daily_flow", _FLOW_COLUMNS, ("bucket", "line_id"), add=True)
_LOAD_COLUMNS: Final = {"day": "date", "operator_id": "uuid"} | columns_of(LoadRow)
_ADD_LOAD: Final = upsert("operator_load", _LOAD_COLUMNS, ("day", "operator_id"), add=True)
_TELL_LINES: Final = (
    upsert("lines", columns_of(LineRow), ("line_id",))
    + " WHERE (lines.told_at, lines.told_by) < (excluded.told_at, excluded.told_by)"
)
_REFRESH: Final = (
    "INSERT INTO freshness (owner, as_of) SELECT * FROM unnest(%s::text[], %s::timestamptz[])"
    " ON CONFLICT (owner) DO UPDATE SET as_of = greatest(freshness.as_of, excluded.as_of)"
)


def write(connection: Conn, changes: Changes) -> None:
    """Write a batch's changes; rows that readers share come last and in key order."""
    many(connection, _UPDATE_TICKETS, [_ticket_values(row) for row in changes.tickets.values()])
    for target in _TARGETS:
        target.write(connection, changes)
    _share(connection, changes)


def _share(connection: Conn, changes: Changes) -> None:
    lines = columns_of(LineRow)
    many(connection, _TELL_LINES, [values_of(changes.lines[line], lines) for line in sorted(changes.lines)])
    for statement, counts in ((_ADD_FLOW, changes.flow), (_ADD_LOAD, changes.load)):
        rows: Mapping[Any, Any] = counts
        many(connection, statement, [[*key, *_counts(rows[key])] for key in sorted(rows)])
    many(connection, _REFRESH, sorted(changes.fresh.items()))


def _counts(row: FlowRow | LoadRow) -> list[int]:
    return [getattr(row, name) for name in row.__slots__]


def _ticket_values(row: TicketRow) -> list[Any]:
    values: list[Any] = [row.ticket_id]
    parts = (row.card, row.routing, row.sla, row.notify)
    for part, names in zip(parts, _PART_COLUMNS, strict=True):
        values += [None] * len(names) if part is None else [getattr(part, name) for name in names]
    return values
