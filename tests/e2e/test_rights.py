"""Every route × role × scope, on one's own and on another's existing ticket, through the real owners."""

import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from services.gateway.tests.matrix import SCOPES, Case, Places, matrix
from uuid_utils.compat import uuid7

from deskline_chassis.postgres import Database
from deskline_gateway.adapters.token_table import TokenTable
from deskline_gateway.domain.rules import ROLES
from deskline_gateway.handlers import CreateToken, create_token
from deskline_local.client import until
from deskline_local.deployment import OWN_DOMAIN
from deskline_local.office import FIRST_QUEUE, FIRST_TEAM, OLEG, OLGA, SECOND_QUEUE, SECOND_TEAM, Office
from deskline_local.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.anywhere, pytest.mark.timeout(300)]

AT_ONCE = 8
# What is offered to nobody or to somebody else can't be answered, whoever asks; messages that made no
# ticket belong to no team, and so to the scope `all` alone.
NOT_THEIRS = {"accept", "decline", "list_set_aside"}


def _taken(office: Office, desk: Any, line: str, subject: str) -> dict[str, Any]:
    """The ticket about something, accepted by whom it was offered to."""

    def listed() -> dict[str, Any] | None:
        items: list[dict[str, Any]] = office.admin.get("/v1/tickets", line_id=office.lines[line])["items"]
        return next((one for one in items if one["subject"] == subject), None)

    ticket = until(f"a ticket about {subject}", listed)
    offer = office.wait_for_offer(desk, ticket["ticket_id"])
    desk.post(f"/v1/tickets/{ticket['ticket_id']}/accept", {"offer_id": offer["offer_id"]})
    return ticket


@pytest.fixture(scope="module")
def places(site: Site) -> Iterator[Places]:
    """Olga's ticket in the first team's queue, Oleg's in the second's."""
    office = Office(site)
    first, second = office.add_line("rights"), office.add_line("rights-second")
    for team, person in ((FIRST_TEAM, OLGA), (SECOND_TEAM, OLEG)):
        office.admin.put(f"/v1/teams/{team}", {"name": f"of {person.name}"})
        body = {"name": person.name, "address": person.address, "language": person.language, "capacity": 9}
        office.admin.put(f"/v1/operators/{person.id}", body | {"team_ids": [team]})
    for order, (queue, team, line) in enumerate(
        ((FIRST_QUEUE, FIRST_TEAM, first), (SECOND_QUEUE, SECOND_TEAM, second))
    ):
        body = {"name": f"queue {order}", "team_id": team, "order": order}
        office.admin.put(f"/v1/queues/{queue}", body | {"conditions": {"line_ids": [line]}})
    office.everybody_online()
    for name, subject in (("rights", "Own"), ("rights-second", "Another's")):
        # A sender of its own: others act on the same deployment, and count their mails.
        sender, recipient = f"{name}@customer.example", f"{name}@{OWN_DOMAIN}"
        office.olga.mail(sender, recipient, f"From: {sender}\r\nSubject: {subject}\r\n\r\nHelp.".encode())
    own = _taken(office, office.olga, "rights", "Own")
    anothers = _taken(office, office.oleg, "rights-second", "Another's")

    def projected() -> bool | None:
        lists = [office.admin.get("/v1/tickets", line_id=line)["items"] for line in (first, second)]
        return all(one["assignee_id"] for shown in lists for one in shown) or None

    until("both tickets assigned in the list", projected)
    named = {"number": str(own["number"]), "queue_id": FIRST_QUEUE, "line_id": first, "team_id": FIRST_TEAM}
    yield Places(UUID(own["ticket_id"]), UUID(anothers["ticket_id"]), named)
    office.close()


@pytest.fixture(scope="module")
def tokens(site: Site) -> dict[tuple[str, str], str]:
    """A token of Olga's for each role and scope."""
    database = Database(site.owner_url("gateway"), "test-rights", size=1)
    database.open()
    table = TokenTable(database)
    made: dict[tuple[str, str], str] = {
        (role, scope): create_token(
            table,
            CreateToken(
                token_id=uuid7(),
                secret=secrets.token_bytes(32),
                actor_id=UUID(OLGA.id),
                roles=frozenset({role}),
                scope=scope,
                label="rights",
                days=1,
                now=datetime.now(UTC),
            ),
        )
        for role in ROLES
        for scope in SCOPES
    }
    database.close()
    return made


def _answer(client: httpx.Client, case: Case, token: str | None) -> tuple[int, str]:
    headers = dict(case.headers) | ({} if token is None else {"Authorization": f"Bearer {token}"})
    with client.stream(case.rule.method, case.path, json=case.body, headers=headers, timeout=60) as answer:
        if answer.headers["content-type"].startswith("text/event-stream"):
            return answer.status_code, ""
        answer.read()
        told = answer.json() if answer.content else {}
        return answer.status_code, str(told.get("code", "")) if isinstance(told, dict) else ""


def _is_right(case: Case, status: int, code: str) -> bool:
    """Whether that is what this caller should be answered."""
    about_ticket = "ticket_id" in case.rule.parameters
    if case.door != "passes":
        wanted = {"token_refused": (401, "token_refused"), "role_refused": (403, "role_refused")}
        return (status, code) == wanted[case.door]
    if about_ticket and case.whose == "anothers" and case.scope != "all":
        return status == 404
    if about_ticket and case.rule.method == "GET":
        return status == 200
    refused = status == 403 and case.whose == "own" and case.rule.name not in NOT_THEIRS
    missed = about_ticket and status == 404
    return not (refused or missed or status == 401 or status >= 500 or code == "role_refused")


def test_every_route_lets_in_whom_it_should_and_nobody_else(
    site: Site, places: Places, tokens: dict[tuple[str, str], str]
) -> None:
    cases = [case for case in matrix(places) if not case.rule.public]
    wrong: list[str] = []
    counts: Counter[int] = Counter()
    guard = threading.Lock()

    def play(mine: list[Case]) -> None:
        with httpx.Client(base_url=site.gateway_url, trust_env=False) as client:
            for case in mine:
                token = None if case.role is None else tokens[case.role, case.scope]
                status, code = _answer(client, case, token)
                with guard:
                    counts[status] += 1
                    wrong.extend([] if _is_right(case, status, code) else [f"{case}: {status} {code}"])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(play, cases[k::AT_ONCE]) for k in range(AT_ONCE)]:
            done.result()
    print(f"\n{len(cases)} requests: {dict(sorted(counts.items()))}")
    assert not wrong, "\n".join(sorted(wrong))
    assert counts[200] > 100
    assert counts[403] > 300
    assert counts[404] > 50
