"""Claims that are planned as if little were open stay quick when much is."""

from typing import Any
from uuid import uuid4

import pytest
from shared.chassis.tests.plans import analyse, looked_at

from deskline_chassis.postgres import Database
from deskline_notify.adapters import claims

pytestmark = pytest.mark.component

SENT, OPEN, TAKEN = 300, 800, 40


def test_claims_do_not_look_at_all_that_is_open(new_desk: Any) -> None:
    desk = new_desk()
    for number in range(SENT):
        desk.ticket(desk.customer(f"sent{number}@client.example"))
    desk.rows("UPDATE notifications SET state = 'sent', finished_at = now() RETURNING place")
    analyse(desk.base.owner_url, "notifications")
    session = Database(desk.base.runtime_url, "plans", size=1)
    session.open()
    try:
        for number in range(OPEN):
            desk.ticket(desk.customer(f"open{number}@client.example"))
        with session.transaction() as connection:
            before = looked_at(connection, "notifications")
            for _ in range(10):
                assert len(claims.claim(connection, uuid4(), 60, TAKEN)) == TAKEN
            each = (looked_at(connection, "notifications") - before) / (10 * TAKEN)
    finally:
        session.close()
    # The candidates' order costs each claim one look at what is due.
    assert each <= 16 + OPEN / TAKEN
