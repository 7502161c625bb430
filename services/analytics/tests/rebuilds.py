"""Rebuilds that end equal to the live read models, in every way that they are done."""

from typing import Any

import pytest

from deskline_analytics import commands, rebuild, rebuilding
from deskline_analytics.consumer import REBUILDER


def assert_clean(rig: Any) -> None:
    """A rebuild leaves nothing behind."""
    assert rig.as_owner("SELECT tablename FROM pg_tables WHERE schemaname = 'rebuilt'") == []
    for table in ("positions", "reader_streams", "waiting_records", "parked_records"):
        assert rig.ask(f"SELECT count(*) FROM {table} WHERE reader = %s", (REBUILDER,)) == [(0,)]


def assert_equal_rebuild(rig: Any, *arguments: str) -> str:
    before = rig.state()
    code, output = rig.run("rebuild", *arguments)
    assert code == 0, output
    assert ": different" not in output
    assert rig.state() == before
    assert_clean(rig)
    return str(output)


def assert_equal_in_small_batches(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild in this process that meets its seeks: in one large batch there would be none."""
    monkeypatch.setattr(rebuilding, "BATCH", 4)
    assert_equal_in_this_process(rig, monkeypatch)


def assert_equal_in_processes(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild that three processes come close with, as with many records."""
    asked: list[int] = []

    def many(records: int) -> int:
        asked.append(records)
        return 3

    monkeypatch.setattr(rebuild, "processes_for", many)
    assert_equal_in_this_process(rig, monkeypatch)
    assert asked == [sum(offset for (offset,) in rig.ask("SELECT next_offset FROM positions"))]


def assert_equal_in_this_process(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rig.state()
    for name, value in rig.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(commands, "configure_logging", lambda *_: None)
    commands.rebuild_command([])
    assert rig.state() == before
    assert_clean(rig)
