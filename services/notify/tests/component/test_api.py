"""HTTP: who may see what was told of a ticket, and who may change what is said."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from deskline_chassis.callers import trust
from deskline_chassis.http import create_app
from deskline_chassis.identity import HEADER, Identity, Verifier, generate_keys, sign
from deskline_chassis.runtime import Runtime
from deskline_notify.api.routes import add_routes

pytestmark = pytest.mark.component

GOOD = {"subject": "[#{{ number }}] {{ subject }}", "text": "Hello\n{{ line_name }}"}
PATH = "/v1/templates/acknowledgement/en"


class Door:
    """The service's HTTP as the gateway calls it, in this process."""

    def __init__(self, desk: Any) -> None:
        self._private, public = generate_keys()
        self.actor = uuid4()
        self.app = create_app("notify", "1", Runtime("notify"), trust_traceparent=True)
        trust(self.app, Verifier(public, "notify"))
        add_routes(self.app, desk.database)

    def ask(
        self,
        method: str,
        path: str,
        *roles: str,
        scope: str = "all",
        actor: UUID | None = None,
        headers: dict[str, str] | None = None,
        **given: Any,
    ) -> httpx.Response:
        identity = Identity(actor or self.actor, frozenset(roles or ("admin",)), scope)
        signed = {HEADER: sign(self._private, identity, "notify", datetime.now(UTC))}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://notify") as client:
                return await client.request(method, path, headers=signed | (headers or {}), **given)

        return asyncio.run(send())


@pytest.fixture
def door(desk: Any) -> Door:
    return Door(desk)


def test_what_was_told_of_a_ticket_is_shown_without_address_or_text(
    desk: Any, facts: Any, door: Door
) -> None:
    customer, operator = desk.customer("canary@client.example"), desk.operator()
    ticket_id = desk.ticket(customer, subject="canary")
    reply = facts.replied(customer, operator, "canary")
    desk.tell(ticket_id, reply, facts.offered(operator))
    answer = door.ask("GET", f"/v1/tickets/{ticket_id}/notifications", "operator")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "canary" not in answer.text
    shown = answer.json()
    assert shown["next_cursor"] is None
    assert [(one["kind"], one["recipient_kind"], one["recipient_id"]) for one in shown["items"]] == [
        ("acknowledgement", "contact", str(customer)),
        ("reply", "contact", str(customer)),
        ("offer", "operator", str(operator)),
    ]
    assert shown["items"][1]["reply_id"] == str(reply.reply_id)
    assert {one["state"] for one in shown["items"]} == {"pending"}


def test_pages_follow_one_another(desk: Any, facts: Any, door: Door) -> None:
    customer, operator = desk.customer(), desk.operator()
    ticket_id = desk.ticket(customer)
    desk.tell(ticket_id, *(facts.replied(customer, operator) for _ in range(4)))
    path, cursor, seen = f"/v1/tickets/{ticket_id}/notifications", None, []
    while True:
        query = {"limit": "2"} | ({} if cursor is None else {"cursor": cursor})
        page = door.ask("GET", path, params=query).json()
        seen += [one["notification_id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    for wrong, status in (({"cursor": "x"}, 400), ({"limit": "101"}, 422), ({"colour": "red"}, 422)):
        assert door.ask("GET", path, params=wrong).status_code == status


def test_another_teams_ticket_is_as_unknown_as_one_that_is_not_there(
    desk: Any, facts: Any, door: Door
) -> None:
    team = uuid4()
    lead, member, stranger = desk.operator(), desk.operator(team_ids=(team,)), desk.operator()
    desk.take(desk.envelope("routing", team, facts.team(team, lead)))
    ticket_id = desk.ticket(desk.customer())
    desk.tell(ticket_id, facts.routed(team))
    path = f"/v1/tickets/{ticket_id}/notifications"
    assert door.ask("GET", path, "lead", scope="team", actor=lead).status_code == 200
    assert door.ask("GET", path, "operator", scope="team", actor=member).status_code == 200
    hidden = door.ask("GET", path, "operator", scope="team", actor=stranger)
    unknown = door.ask("GET", f"/v1/tickets/{uuid4()}/notifications", "operator", scope="team", actor=lead)
    assert (hidden.status_code, hidden.json()) == (unknown.status_code, unknown.json())
    assert hidden.status_code == 404


@pytest.mark.parametrize("role", ["analyst", "system", "customer"])
def test_other_roles_see_nothing(desk: Any, door: Door, role: str) -> None:
    ticket_id = desk.ticket(desk.customer())
    assert door.ask("GET", f"/v1/tickets/{ticket_id}/notifications", role).status_code == 403
    assert door.ask("GET", "/v1/templates", role).status_code == 403


def test_only_an_admin_changes_what_is_said(door: Door) -> None:
    for role in ("operator", "lead", "analyst"):
        assert door.ask("PUT", PATH, role, json=GOOD).status_code == 403
        assert door.ask("POST", f"{PATH}/preview", role, json=GOOD).status_code == 403
    assert door.ask("GET", PATH, "lead").status_code == 200
    assert door.ask("GET", PATH, "operator").status_code == 403


def test_a_template_is_saved_over_the_version_that_was_read_and_used(
    desk: Any, post: Any, senders: Any, until: Any, door: Door
) -> None:
    default = door.ask("GET", PATH)
    assert (default.json()["version"], default.headers["ETag"]) == (0, '"0"')
    assert default.json()["variables"] == ["number", "subject", "line_name"]
    saved = door.ask("PUT", PATH, json=GOOD)
    assert (saved.status_code, saved.headers["ETag"]) == (200, '"1"')
    assert saved.json()["changed_by"] == str(door.actor)
    assert door.ask("PUT", PATH, json=GOOD).status_code == 428
    stale = door.ask("PUT", PATH, json=GOOD, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["version"]) == (412, 1)
    assert door.ask("PUT", PATH, json=GOOD, headers={"If-Match": "x"}).status_code == 400
    again = door.ask("PUT", PATH, json=GOOD | {"html": "<i>{{ subject }}</i>"}, headers={"If-Match": '"1"'})
    assert again.json()["version"] == 2
    assert len(door.ask("GET", "/v1/templates").json()["items"]) == 14
    ticket_id = desk.ticket(
        desk.customer("own-words@client.example"), locale="en", subject="<b>Tom & Ann</b>"
    )
    senders.start(desk, post)
    until(lambda: desk.states(ticket_id) == [("acknowledgement", "sent", None)], "sent")
    (mail,) = post.to("own-words@client.example")
    assert mail.message["Subject"] == "[#1042] <b>Tom & Ann</b>"
    assert mail.message.get_body(("html",)).get_content().strip() == "<i>&lt;b&gt;Tom &amp; Ann&lt;/b&gt;</i>"


def test_a_saved_template_that_fails_gives_way_to_the_default(
    desk: Any, post: Any, senders: Any, until: Any
) -> None:
    desk.as_owner(
        "INSERT INTO templates (kind, language, version, subject, body, changed_at, changed_by)"
        " VALUES ('acknowledgement', 'ru', 1, 'x', '{%% for a in [1] %%}{{ nope }}{%% endfor %%}',"
        " now(), %s)",
        uuid4(),
    )
    ticket_id = desk.ticket(desk.customer("fallback@client.example"))
    senders.start(desk, post)
    until(lambda: desk.states(ticket_id) == [("acknowledgement", "sent", None)], "sent")
    assert post.to("fallback@client.example")[0].message["Subject"] == "Re: Принтер [#1042]"


def test_template_injection_is_refused_with_what_is_wrong(door: Door) -> None:
    for body in (
        GOOD | {"text": "{{ subject.__class__ }}"},
        GOOD | {"text": "{% for a in range(10**9) %}{% endfor %}"},
    ):
        for method, path in (("PUT", "/v1/templates/offer/en"), ("POST", "/v1/templates/offer/en/preview")):
            answer = door.ask(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "template_invalid")
    unknown = door.ask("PUT", "/v1/templates/offer/en", json=GOOD | {"text": "a\n{{ nope }}"}).json()
    (error,) = unknown["errors"]
    assert (error["field"], error["line"]) == ("body.text", 2)
    assert "recipient_name" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        GOOD | {"colour": "red"},
        GOOD | {"subject": "a\r\nBcc: x@y.example"},
        GOOD | {"text": "\u0000"},
        GOOD | {"text": "x" * 20_001},
        {"subject": "x"},
    ],
)
def test_what_no_template_can_be_is_refused(door: Door, body: Any) -> None:
    assert door.ask("PUT", "/v1/templates/offer/en", json=body).status_code == 422


def test_unknown_kinds_languages_and_parameters_are_refused(door: Door) -> None:
    for path in ("/v1/templates/joke/en", "/v1/templates/offer/fr", "/v1/templates?x=1", f"{PATH}?x=1"):
        assert door.ask("GET", path).status_code == 422


def test_a_preview_shows_a_mail_with_made_up_values(door: Door) -> None:
    answer = door.ask("POST", "/v1/templates/offer/ru/preview", json=GOOD)
    assert answer.status_code == 200
    assert answer.json()["subject"] == "[#1042] Не печатает принтер"
    assert "<p>Hello<br>\nПоддержка</p>" in answer.json()["html"]


def test_nobody_without_the_gateways_signature_is_believed(desk: Any, door: Door) -> None:
    ticket_id = desk.ticket(desk.customer())

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(door.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://notify") as client:
            return await client.get(f"/v1/tickets/{ticket_id}/notifications")

    assert asyncio.run(send()).status_code == 401
