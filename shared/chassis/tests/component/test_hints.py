"""What a reader tells the broker of how far it is: a hint, which holds nothing up and gets there."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NotCoordinatorForGroupError
from shared.chassis.tests.house import House, running, until

from deskline_chassis import reader as reader_module
from deskline_chassis.consumer import Consumer

pytestmark = [pytest.mark.component, pytest.mark.anyio]


async def test_hints_that_the_broker_never_answers_hold_nothing_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def never(*_: Any, **__: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(reader_module, "HINT_PATIENCE", 0.2)
    monkeypatch.setattr(Consumer, "hint", never)
    async with house.relaying(), running(house.reader().run):
        house.write("one")
        await until("applied", lambda: house.texts() == ["one"])
        await asyncio.wait_for(asked.wait(), 20)
        house.write("two")
        await until("the next one applied", lambda: house.texts() == ["one", "two"])


async def test_hint_that_the_broker_refused_is_told_again_without_a_new_record(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses = False
    refused: dict[TopicPartition, int] = {}
    taken: dict[TopicPartition, int] = {}
    hint = Consumer.hint

    async def refused_once(consumer: Consumer, offsets: dict[TopicPartition, int]) -> None:
        if refuses and not refused:
            refused.update(offsets)
            raise NotCoordinatorForGroupError
        await hint(consumer, offsets)
        taken.update(offsets)

    monkeypatch.setattr(reader_module, "HINT_REST", 0.2)
    monkeypatch.setattr(reader_module, "REREAD_SECONDS", 1000.0)
    monkeypatch.setattr(Consumer, "hint", refused_once)
    reader = house.reader()
    async with house.relaying(), running(reader.run):
        house.write("one")
        await until("applied and told", lambda: house.texts() == ["one"] and taken and not reader._hints)
        # The last record comes again when it is looked for, with a hint of its own: once, and not later.
        await until("looked for", lambda: reader._reread > 0)
        refuses = True
        house.write("two")
        await until("refused", lambda: refused)
        await until("told again", lambda: refused.items() <= taken.items())
