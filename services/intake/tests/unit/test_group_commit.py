"""Mails that arrive together share a commit; the fault of one is not the others'."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from deskline_chassis.pacing import LEAST_SECONDS
from deskline_intake.adapters.raw_messages import Unit
from deskline_intake.channels.group_commit import GATHER_SECONDS, MOST_BYTES, GroupCommit
from deskline_intake.ports import AcceptedMail

pytestmark = pytest.mark.unit


def unit(number: int, size: int = 10) -> Unit:
    return [AcceptedMail(UUID(int=number), UUID(int=0), 0, False, None, None, (), size, None)]


def size_of(given: Unit) -> int:
    return sum(mail.size for mail in given)


def run(units: Sequence[Unit], outcomes: dict[int, Exception]) -> tuple[list[list[int]], list[object], int]:
    groups: list[list[int]] = []
    rings = 0

    def store(given: Sequence[Unit]) -> list[Exception | None]:
        numbers = [mails[0].raw_id.int for mails in given]
        groups.append(numbers)
        if -1 in outcomes:
            raise outcomes[-1]
        return [outcomes.get(number) for number in numbers]

    def ring() -> None:
        nonlocal rings
        rings += 1

    async def all_at_once() -> list[object]:
        group = GroupCommit("store", store, ring, size_of)
        try:
            return await asyncio.gather(*(group.add(one) for one in units), return_exceptions=True)
        finally:
            group.close()

    return groups, asyncio.run(all_at_once()), rings


def test_what_arrives_together_is_stored_together() -> None:
    groups, answers, rings = run([unit(n) for n in range(5)], {})
    assert groups == [[0, 1, 2, 3, 4]]
    assert answers == [None] * 5
    assert rings == 1


def test_the_fault_of_one_is_told_to_it_alone() -> None:
    fault = ValueError("mine")
    _, answers, _ = run([unit(n) for n in range(3)], {1: fault})
    assert answers == [None, fault, None]


def test_nobody_is_rung_for_when_nothing_was_stored() -> None:
    assert run([unit(1)], {1: ValueError()})[2] == 0


def test_large_mails_go_one_by_one() -> None:
    groups, _, _ = run([unit(n, MOST_BYTES) for n in range(3)], {})
    assert groups == [[0], [1], [2]]


def test_a_broken_writer_leaves_nobody_waiting() -> None:
    _, answers, rings = run([unit(n) for n in range(3)], {-1: KeyError("x")})
    assert all(isinstance(answer, Exception) for answer in answers)
    assert rings == 0


@pytest.mark.parametrize("size", [10, MOST_BYTES])
def test_the_writer_rests_after_a_group_that_left_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    asked: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        asked.append(seconds)
        await sleep(0)

    monkeypatch.setattr("deskline_intake.channels.group_commit.asyncio.sleep", noted)
    run([unit(n, size) for n in range(2)], {})
    gathering, resting = asked
    assert gathering == GATHER_SECONDS
    assert resting <= LEAST_SECONDS
