"""Copies of the template stand behind what came through the doors meanwhile, and close to it."""

import pytest
from bench.million.names import NameMaker, changed, numbered
from bench.million.template import Table, Template

pytestmark = pytest.mark.unit

NUMBERS, CHANGES = (1, 2, 3), (5, 6)
TICKETS = tuple(f"00000000-0000-4000-8000-{number:012}" for number in NUMBERS)


@pytest.fixture
def maker() -> NameMaker:
    """Three tickets and two people."""
    index = tuple(f"{ticket}\t{number}" for ticket, number in zip(TICKETS, NUMBERS, strict=True))
    people = tuple(f"person-{change}\t\\\\x00\t{change}" for change in CHANGES)
    tables = (
        Table("tickets", "tickets_index", ("ticket_id", "number"), index),
        Table("intake", "person_keys", ("subject", "wrapped", "change_id"), people),
    )
    return NameMaker(
        Template(
            tables={(table.owner, table.name): table for table in tables},
            own=frozenset(),
            tickets=len(TICKETS),
            keys={f"person-{change}": b"k" * 32 for change in CHANGES},
            key_encryption_key=b"e" * 32,
            reply_token_key=b"r" * 32,
            marks=(),
            sums={},
        )
    )


def lowest(maker: NameMaker, copy: int) -> tuple[int, int]:
    """The first ticket's number and the first person's change, in this copy."""
    tokens = [numbered(str(NUMBERS[0])), changed(CHANGES[0])]
    names = maker.for_tokens(tokens).names(copy, days=0)
    number, change = (int(names[token]) for token in tokens)
    return number, change


@pytest.mark.parametrize("number", [3, 4, 6, 7, 100])
@pytest.mark.parametrize("change", [6, 7, 8, 9, 100])
def test_a_copy_takes_no_number_and_no_change_that_is_taken(
    maker: NameMaker, number: int, change: int
) -> None:
    copy = maker.first_behind(number, change)
    first = lowest(maker, copy)
    assert first[0] > number
    assert first[1] > change
    before = lowest(maker, copy - 1)
    assert before[0] <= number or before[1] <= change
