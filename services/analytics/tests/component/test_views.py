"""The analysts' schema: commented, readable by the read-only role and by nothing it should not see."""

from typing import Any

import psycopg
import pytest

from deskline_analytics.domain.models import MODELS
from deskline_chassis.migrate import migrate, table_kinds

pytestmark = pytest.mark.component

VIEWS = {
    "tickets",
    "ticket_events",
    "flow",
    "lines",
    "freshness",
    "operators",
    "teams",
    "queues",
    "routing_decisions",
    "sla_outcomes",
    "operator_load",
    "notifications",
}


def test_every_view_and_every_column_has_a_comment(shared_rig: Any) -> None:
    rows = shared_rig.ask(
        "SELECT c.relname, a.attname, obj_description(c.oid), col_description(c.oid, a.attnum)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relnamespace = 'analyst'::regnamespace"
    )
    assert {row[0] for row in rows} == VIEWS
    assert [row[:2] for row in rows if not row[2] or not row[3]] == []


def test_every_table_says_what_it_is(shared_rig: Any) -> None:
    with psycopg.connect(shared_rig.analytics.owner_url) as connection:
        kinds = table_kinds(connection)
    assert {name for (_, name), kind in kinds.items() if kind == "read model"} == set(MODELS) | {"known_keys"}


def test_migrating_twice_changes_nothing(shared_rig: Any) -> None:
    migrate(shared_rig.analytics.owner_url, "deskline_analytics", *shared_rig.roles)


def test_the_read_only_role_reads_views_and_nothing_else(shared_rig: Any) -> None:
    tables = [
        name for (name,) in shared_rig.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    with psycopg.connect(shared_rig.analytics.readonly_url, autocommit=True) as readonly:
        for view in VIEWS:
            readonly.execute(f"SELECT * FROM analyst.{view}").fetchall()
            for statement in (
                f"DELETE FROM analyst.{view}",
                f"CREATE TABLE analyst.more AS SELECT * FROM analyst.{view}",
            ):
                # A join is refused before rights are looked at.
                with pytest.raises(
                    (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)
                ):
                    readonly.execute(statement)
        for statement in (
            "INSERT INTO analyst.lines VALUES (gen_random_uuid(), 'n', 'email', 'ru')",
            "UPDATE analyst.freshness SET as_of = now()",
            "CREATE TABLE public.mine (i int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                readonly.execute(statement)
        assert "open_tickets" in tables
        for table in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                readonly.execute(f"SELECT * FROM public.{table}")


def test_views_hold_no_personal_text(shared_rig: Any, make_story: Any, fill: Any) -> None:
    story = fill(shared_rig, make_story(2).live(tickets=5, events=60))
    assert story.canary in str(shared_rig.state())
    with psycopg.connect(shared_rig.analytics.readonly_url) as readonly:
        for view in VIEWS:
            rows = readonly.execute(f"SELECT * FROM analyst.{view}").fetchall()
            assert rows
            assert story.canary not in str(rows)
