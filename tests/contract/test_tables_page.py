"""The page of tables is what the databases' comments say, and every column of analysts' views is told."""

from collections.abc import Iterator

import pytest
from tests.contract import tables_page
from tests.contract.tables_page import UnfitCommentError

from deskline_local.stack import Stack

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def analytics(stack: Stack) -> Iterator[tables_page.Connection]:
    with tables_page.migrated(stack, "analytics") as connection:
        yield connection


def test_the_checked_in_page_is_current(stack: Stack) -> None:
    assert tables_page.PAGE.read_text() == tables_page.page(stack), "run `make docs` and look at what changed"


def test_every_view_and_every_column_is_told(analytics: tables_page.Connection) -> None:
    views = tables_page.read_views(analytics)
    assert [view.name for view in views] == list(tables_page.VIEWS)
    assert all(view.columns for view in views)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("CREATE VIEW analyst.more AS SELECT 1 AS one", "analyst.more.one"),
        ("COMMENT ON COLUMN analyst.tickets.stage IS NULL", "analyst.tickets.stage"),
        ("COMMENT ON COLUMN analyst.tickets.stage IS 'Stage of the ticket'", "analyst.tickets.stage"),
        ("COMMENT ON VIEW analyst.tickets IS NULL", "tickets has no comment"),
    ],
    ids=["column", "comment", "form", "view"],
)
def test_what_is_not_told_is_named(analytics: tables_page.Connection, change: str, named: str) -> None:
    with analytics.transaction(force_rollback=True):
        analytics.execute(change)
        with pytest.raises(UnfitCommentError, match=named):
            tables_page.read_views(analytics)


def test_a_new_view_needs_its_place_on_the_page(analytics: tables_page.Connection) -> None:
    with analytics.transaction(force_rollback=True):
        analytics.execute("CREATE VIEW analyst.more AS SELECT 1 AS one")
        analytics.execute("COMMENT ON COLUMN analyst.more.one IS 'One. From tickets: all.'")
        with pytest.raises(UnfitCommentError, match=r"\['more'\]"):
            tables_page.read_views(analytics)


def test_a_table_without_a_comment_is_named(analytics: tables_page.Connection) -> None:
    with analytics.transaction(force_rollback=True):
        analytics.execute("COMMENT ON TABLE open_tickets IS NULL")
        with pytest.raises(UnfitCommentError, match="open_tickets"):
            tables_page.read_tables(analytics)


def test_a_comment_says_meaning_unit_null_and_source() -> None:
    told = "Waiting. Unit: seconds. Null: not yet. From tickets: TicketOpened; sla: all."
    column = tables_page.described("v.waited", "bigint", told)
    assert (column.name, column.type, column.meaning, column.unit, column.null, column.source) == (
        "waited",
        "bigint",
        "Waiting",
        "seconds",
        "not yet",
        "tickets: TicketOpened; sla: all",
    )


def test_what_is_told_is_all_that_the_role_may_read(analytics: tables_page.Connection) -> None:
    (name,) = analytics.execute("SELECT current_database()").fetchone() or ("",)
    readable = analytics.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN"
        " ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%%'"
        " AND has_any_column_privilege(%s, c.oid, 'SELECT') ORDER BY 2",
        (f"{name}_readonly",),
    ).fetchall()
    assert readable == [("analyst", view) for view in sorted(tables_page.VIEWS)]


def test_no_view_shows_what_is_personal(analytics: tables_page.Connection) -> None:
    shown = {
        (view.name, column.name) for view in tables_page.read_views(analytics) for column in view.columns
    }
    assert not {column for _, column in shown} & {"subject", "words", "text", "address"}
    assert ("operators", "name") not in shown
