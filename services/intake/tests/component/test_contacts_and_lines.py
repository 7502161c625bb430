"""Who may find, erase and list: contacts by address, and lines page by page."""

import pytest
from services.intake.tests.erased import SENDER, contact_of, erased_facts, letter
from services.intake.tests.kit import Intake, Process, send

pytestmark = pytest.mark.component


@pytest.fixture
def door(intake: Intake) -> Process:
    intake.add_line()
    return intake.start()


def test_only_an_admin_erases_and_only_staff_finds(intake: Intake, door: Process) -> None:
    send(door, letter())
    intake.settled()
    contact = contact_of(intake)
    every = ("operator", "lead", "admin", "analyst", "system", "customer")
    may_find = {"operator", "lead", "admin"}
    for role in every:
        found = door.call("POST", "/v1/contacts/find", role, json={"address": SENDER.upper()})
        assert found.status_code == (200 if role in may_find else 403), role
        listed = door.call("GET", "/v1/lines", role)
        assert listed.status_code == (200 if role in may_find else 403), role
        if role != "admin":
            refused = door.call("POST", f"/v1/contacts/{contact}/erase", role, json={}, key="k")
            assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted"), role
    assert erased_facts(intake) == 0
    no_key = door.call("POST", f"/v1/contacts/{contact}/erase", "admin", json={})
    assert (no_key.status_code, no_key.json()["code"]) == (400, "key_required")
    body = door.call("POST", f"/v1/contacts/{contact}/erase", "admin", json={"a": 1}, key="k")
    assert body.status_code == 422
    assert erased_facts(intake) == 0


def test_a_contact_is_found_by_address(intake: Intake, door: Process) -> None:
    send(door, letter())
    intake.settled()
    found = door.find(" Zinaida7319@CLIENT.example")
    company = intake.sql("SELECT company_id::text FROM companies")[0][0]
    assert found.headers["Cache-Control"] == "no-store"
    assert found.json() == {
        "contact_id": str(contact_of(intake)),
        "company_id": company,
        "tier": None,
        "locale": "ru",
        "verified": True,
    }
    assert door.find("nobody@client.example").json()["code"] == "contact_unknown"
    assert door.find("no address").status_code == 422
    by_query = door.call("GET", f"/v1/contacts/find?address={SENDER}", "operator")
    assert by_query.status_code in {404, 405}
    assert "inaida" not in door.log


def test_lines_are_shown_page_by_page(intake: Intake, door: Process) -> None:
    form = intake.add_form("--origin", "https://www.Desk.example:8443/")
    disabled = intake.add_line("old@desk.example", "Old", "en")
    assert intake.command("line", "disable", "--address", "OLD@desk.example").returncode == 0
    first = door.call("GET", "/v1/lines?limit=2", "operator").json()
    second = door.call("GET", f"/v1/lines?limit=2&cursor={first['next_cursor']}", "lead").json()
    shown = [*first["items"], *second["items"]]
    assert second["next_cursor"] is None
    assert [line["channel"] for line in shown] == ["email", "form", "email"]
    assert shown[1] == {
        "line_id": str(form),
        "name": "Форма на сайте",
        "channel": "form",
        "address": None,
        "language": "ru",
        "disabled": False,
        "origins": ["https://www.desk.example:8443"],
    }
    assert (shown[2]["line_id"], shown[2]["disabled"]) == (str(disabled), True)
    assert door.call("GET", "/v1/lines?cursor=x", "operator").json()["code"] == "bad_cursor"
    assert door.call("GET", "/v1/lines?limit=101", "operator").status_code == 422
    wrong = (
        ("--form", "--name", "x", "--origin", "www.desk.example"),
        ("--form", "--name", "x", "--origin", "https://a.example/path"),
        ("--name", "x", "--address", "a@b.example", "--origin", "https://a.example"),
        ("--form", "--name", "x", "--address", "nothing"),
        ("--name", "x"),
    )
    for options in wrong:
        assert intake.command("line", "add", *options).returncode == 1, options
