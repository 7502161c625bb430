"""What a container is allowed is read as the kernel writes it."""

import os
from pathlib import Path

import pytest

from deskline_analytics.adapters.control_groups import free_memory, processors

pytestmark = pytest.mark.unit


@pytest.fixture
def ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(10)))


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(
    ("told", "expected"),
    [("max 100000", 10), ("150000 100000", 2), ("50000 100000", 1), ("9900000 100000", 10), (None, 10)],
)
def test_processors_by_quota(tmp_path: Path, told: str | None, expected: int) -> None:
    if told is not None:
        (tmp_path / "cpu.max").write_text(f"{told}\n")
    assert processors(tmp_path) == expected


@pytest.mark.parametrize(
    ("limit", "expected"), [("max", None), ("536870912", 400_000_000), ("1000", 0), (None, None)]
)
def test_free_memory_counts_no_file_cache_as_used(
    tmp_path: Path, limit: str | None, expected: int | None
) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.stat").write_text("anon 136870912\nfile 300000000\nkernel 5\n")
    assert free_memory(tmp_path) == expected
