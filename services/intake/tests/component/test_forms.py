"""A filled form becomes one MessageReceived, however often it is sent, and no more often than it may."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from services.intake.tests.kit import LINE, Intake, Process, in_threads, mail, send

pytestmark = pytest.mark.component

ORIGIN = "https://www.desk.example"


@pytest.fixture
def form(intake: Intake) -> UUID:
    return intake.add_form("--address", LINE, "--language", "en", "--origin", f"{ORIGIN}/")


@pytest.fixture
def door(intake: Intake, form: UUID) -> Process:
    return intake.start()


def everything(intake: Intake) -> list[tuple[Any, ...]]:
    return intake.sql(
        "SELECT (SELECT count(*) FROM raw_messages), (SELECT count(*) FROM form_rates),"
        " (SELECT count(*) FROM events)"
    )


def path(line_id: object) -> str:
    return f"/v1/lines/{line_id}/messages"


def test_a_filled_form_is_announced_unverified(intake: Intake, door: Process, form: UUID) -> None:
    answer = door.post_form(form, name="Анна\r\nBcc: x@y.example", text="Первая\r\nвторая\x00\x1b[31m")

    assert answer.status_code == 202, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    (event,) = intake.messages(1)
    data = event.data
    assert answer.json() == {"message_id": data["raw_id"]}
    assert data["line"] == {
        "line_id": str(form),
        "name": "Форма на сайте",
        "channel": "form",
        "language": "en",
        "address": LINE,
    }
    assert data["kind"] == "human"
    assert data["subject"] == "Вопрос с сайта"
    assert data["reply"] == "Первая\nвторая[31m"
    assert data["text"] == "Первая\nвторая[31m\n\n— Анна Bcc: x@y.example"
    assert data["customer"] == {
        "contact_id": data["contact_id"],
        "company_id": None,
        "tier": None,
        "locale": "ru",
        "new": True,
        "verified": False,
    }
    (contact,) = [e.data for e in intake.events() if e.envelope.type.endswith("ContactRegistered.v1")]
    assert (contact["address"], contact["name"]) == ("anna@client.example", None)
    assert str(event.envelope.subject) == str(intake.sql("SELECT identity_id FROM identities")[0][0])
    assert intake.sql("SELECT count(*) FROM companies") == [(0,)]


def test_one_key_has_one_effect_and_one_answer(intake: Intake, door: Process, form: UUID) -> None:
    first = door.post_form(form, "k")
    intake.messages(1)
    before = everything(intake)

    again = door.post_form(form, "k")
    by_header = door.call(
        "POST",
        path(form),
        "system",
        key="k",
        json={"address": "Anna@Client.example", "subject": "Вопрос с сайта", "text": "Ничего не работает"},
    )
    other = door.post_form(form, "k", text="Другое")

    assert (again.status_code, again.json()) == (202, first.json())
    assert (by_header.status_code, by_header.json()) == (202, first.json())
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert everything(intake) == before
    intake.settled()
    intake.messages(1)
    elsewhere = intake.add_form()
    assert door.post_form(elsewhere, "k").json() != first.json(), "a key belongs to its line"


def test_two_replicas_racing_with_one_key_have_one_effect(intake: Intake, door: Process, form: UUID) -> None:
    doors = [door, intake.start()]
    assert all(each.http_port for each in doors)
    answers: list[httpx.Response] = []
    gate = threading.Barrier(8)

    def work(number: int) -> None:
        gate.wait()
        answers.append(doors[number % 2].post_form(form, "one", address="eva@client.example"))

    in_threads(8, work)
    told = {(a.status_code, a.text) for a in answers if a.status_code != 503}
    assert len(told) == 1, told
    assert {code for code, _ in told} == {202}
    intake.settled()
    intake.messages(1)


def test_form_and_mail_of_one_address_are_one_contact_in_their_order(
    intake: Intake, door: Process, form: UUID
) -> None:
    intake.add_line()
    for number in range(3):
        assert door.post_form(form, address="Anna@Client.example", text=f"{number}").status_code == 202
    send(door, mail("письмо"))
    events = intake.messages(4)
    assert len({e.data["contact_id"] for e in events}) == 1
    forms = sorted(
        (e for e in events if e.data["line"]["channel"] == "form"), key=lambda e: e.envelope.sequence
    )
    assert [e.data["text"] for e in forms] == ["0", "1", "2"]
    (letter,) = [e.data for e in events if e.data["line"]["channel"] == "email"]
    assert letter["line"]["address"] == LINE
    assert letter["customer"]["verified"]
    assert letter["customer"]["company_id"], "the first mail vouches for the address, and shows the company"
    assert all(e.data["customer"]["company_id"] is None for e in forms)
    intake.settled()
    assert door.post_form(form, text="потом").status_code == 202
    latest = max(intake.messages(5), key=lambda e: e.envelope.time).data
    assert latest["text"] == "потом"
    assert (latest["customer"]["company_id"], latest["customer"]["verified"]) == (None, False)


def test_a_robot_that_fills_the_hidden_field_is_answered_and_nothing_is_made(
    intake: Intake, door: Process, form: UUID
) -> None:
    before = everything(intake)
    caught = door.post_form(form, "robot", website="https://spam.example")
    again = door.post_form(form, "robot", website="https://spam.example")
    assert (caught.status_code, again.json()) == (202, caught.json())
    assert everything(intake) == before
    assert door.post_form(form, "robot", website="").json() == caught.json(), "the answers look alike"
    metrics = httpx.get(f"http://127.0.0.1:{door.http_port}/metrics").text
    assert 'deskline_intake_forms_total{outcome="trapped"} 2.0' in metrics
    assert 'deskline_intake_forms_total{outcome="accepted"} 1.0' in metrics


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"address": "no address"}, "address"),
    ({"address": "a@b.example\r\nBcc: x@y.example"}, "address"),
    ({"address": "a" * 250 + "@client.example"}, "address"),
    ({"subject": ""}, "subject"),
    ({"subject": "\r\n \x00"}, "subject"),
    ({"subject": "т" * 201}, "subject"),
    ({"text": " \n"}, "text"),
    ({"text": "ы" * 33_000}, "text"),
    ({"text": 5}, "text"),
    ({"name": "и" * 101}, "name"),
    ({"website": "x" * 2_001}, "website"),
    ({"client_key": "a b"}, "client_key"),
    ({"client_key": "k" * 201}, "client_key"),
    ({"phone": "1"}, "phone"),
]


def test_a_field_beyond_its_limits_is_refused_and_nothing_is_written(
    intake: Intake, door: Process, form: UUID
) -> None:
    before = everything(intake)
    for fields, field in WRONG:
        answer = door.post_form(form, **fields)
        assert answer.status_code == 422, field
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert [wrong["field"] for wrong in answer.json()["errors"]] == [f"body.{field}"]
    assert everything(intake) == before


def test_what_is_no_form_is_refused(intake: Intake, door: Process, form: UUID) -> None:
    intake.add_line("other@desk.example")
    mailbox = intake.sql("SELECT line_id FROM lines WHERE channel = 'email'")[0][0]
    disabled = intake.add_form(name="Old")
    assert intake.command("line", "disable", "--id", str(disabled)).returncode == 0
    fields = {"address": "a@client.example", "subject": "s", "text": "t"}
    before = everything(intake)

    for line in (uuid4(), mailbox, disabled):
        answer = door.post_form(line)
        assert (answer.status_code, answer.json()["code"]) == (404, "line_unknown"), line
    no_key = door.call("POST", path(form), "customer", json=fields)
    assert (no_key.status_code, no_key.json()["code"]) == (400, "key_required")
    two = door.call("POST", path(form), "customer", key="a", json=fields | {"client_key": "b"})
    assert (two.status_code, two.json()["code"]) == (422, "keys_differ")
    huge = door.call("POST", path(form), "customer", key="a", json=fields | {"text": "x" * 400_000})
    assert (huge.status_code, huge.json()["code"]) == (413, "body_too_large")
    broken = door.call(
        "POST", path(form), "customer", key="a", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert broken.status_code == 422
    half = door.call(
        "POST",
        path(form),
        "customer",
        key="a",
        content=b'{"address":"a@b.example","subject":"s","text":"\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    assert half.status_code == 422
    asked = door.call("POST", f"{path(form)}?a=b", "customer", key="a", json=fields)
    assert asked.status_code == 422
    assert everything(intake) == before


def test_only_anybody_and_other_systems_send_forms(intake: Intake, door: Process, form: UUID) -> None:
    fields = {"address": "a@client.example", "subject": "s", "text": "t"}
    for roles in (("operator",), ("admin",), ("customer", "admin"), ("analyst",), ()):
        answer = door.call("POST", path(form), *roles, key="k", json=fields)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted"), roles
    unsigned = httpx.post(f"http://127.0.0.1:{door.http_port}{path(form)}", json=fields)
    assert unsigned.status_code == 401
    assert everything(intake) == [(0, 0, 0)]


def test_threat_forms_used_to_spam_third_parties(intake: Intake) -> None:
    """One address is written to only so often, whatever the line and replica; a line is no open sluice."""
    lines = [intake.add_form(name=f"Form {number}") for number in range(2)]
    limits = {"DESKLINE_INTAKE_FORM_ADDRESS_LIMIT": "3", "DESKLINE_INTAKE_FORM_LINE_LIMIT": "10"}
    doors = [intake.start(**limits), intake.start(**limits)]
    assert all(door.http_port for door in doors)

    def post(number: int) -> httpx.Response:
        return doors[number % 2].post_form(lines[number // 2 % 2], address="victim@client.example")

    with ThreadPoolExecutor(8) as threads:
        answers = [a for a in threads.map(post, range(24)) if a.status_code != 503]
    assert [a.status_code for a in answers].count(202) == 3
    refused = [a for a in answers if a.status_code != 202]
    assert {a.status_code for a in refused} == {429}
    assert {a.json()["code"] for a in refused} == {"too_many"}
    assert all(3500 <= int(a.headers["Retry-After"]) <= 3600 for a in refused)
    assert intake.sql("SELECT count(*) FROM raw_messages") == [(3,)]

    more = [doors[n % 2].post_form(lines[0], address=f"u{n}@client.example").status_code for n in range(12)]
    done = intake.sql("SELECT count(*) FROM raw_messages WHERE line_id = %s", lines[0])
    assert done == [(10,)]
    assert more[-1] == 429
    intake.settled()
    assert all(e.data["customer"]["verified"] is False for e in intake.messages(3 + more.count(202)))


def test_a_repeated_request_is_answered_at_its_limit_too(intake: Intake) -> None:
    form = intake.add_form()
    door = intake.start(DESKLINE_INTAKE_FORM_ADDRESS_LIMIT="1")
    first = door.post_form(form, "k")
    assert door.post_form(form, "other").status_code == 429
    assert door.post_form(form, "k").json() == first.json()
    # The window ends by the database's clock.
    intake.sql("UPDATE form_rates SET hits = ARRAY[hits[1] - interval '1 hour']")
    assert door.post_form(form, "other").status_code == 202


def test_threat_cross_origin_request(intake: Intake, door: Process, form: UUID) -> None:
    """A page of another site can send only what needs no preflight, and none of that is taken."""
    fields = b'{"client_key":"k","address":"a@client.example","subject":"s","text":"t"}'
    before = everything(intake)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = door.call("POST", path(form), "customer", content=fields, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "json_required"), kind
    for origin in ("https://evil.example", "null", ORIGIN + ".evil.example", "http://www.desk.example"):
        sent = {"Content-Type": "application/json", "Origin": origin}
        answer = door.call("POST", path(form), "customer", content=fields, headers=sent)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused"), origin
    assert everything(intake) == before
    sent = {"Content-Type": "application/json; charset=utf-8", "Origin": ORIGIN}
    assert door.call("POST", path(form), "customer", content=fields, headers=sent).status_code == 202


def test_threat_strangers_mail_under_a_customers_address(intake: Intake, door: Process, form: UUID) -> None:
    """Whoever types a customer's address learns and becomes nothing: no company, no tier, no references."""
    intake.add_line()
    send(door, mail("настоящее"))
    intake.messages(1)
    intake.sql("UPDATE contacts SET tier = 'gold'")
    assert door.post_form(form, subject="Re: [#1] ваш вопрос", text="<one@client.example>").status_code == 202
    (forged,) = [e.data for e in intake.messages(2) if e.data["line"]["channel"] == "form"]
    assert forged["customer"]["verified"] is False
    assert (forged["customer"]["company_id"], forged["customer"]["tier"]) == (None, None)
    assert (forged["references"], forged["reply_token"], forged["message_id"]) == (None, None, None)


def test_our_own_address_is_no_customers(intake: Intake, door: Process, form: UUID) -> None:
    intake.add_line()
    for address in (LINE, LINE.upper(), LINE.replace("@", "+token@")):
        answer = door.post_form(form, address=address)
        assert (answer.status_code, answer.json()["code"]) == (422, "own_address"), address
    assert intake.sql("SELECT count(*) FROM raw_messages") == [(0,)]


def test_sigkill_between_accepting_and_reading_loses_nothing(intake: Intake) -> None:
    form = intake.add_form()
    door = intake.start("--only", "smtp")
    ids = {door.post_form(form, address=f"u{n}@client.example").json()["message_id"] for n in range(5)}
    door.kill()
    assert intake.sql("SELECT count(*) FROM raw_messages WHERE state = 'received'") == [(5,)]
    intake.start()
    assert {e.data["raw_id"] for e in intake.messages(5)} == ids


def test_a_lane_that_is_read_with_care_reads_forms_too(intake: Intake) -> None:
    form = intake.add_form()
    door = intake.start("--only", "smtp")
    assert door.post_form(form).status_code == 202
    door.stop()
    intake.sql("UPDATE lanes SET tries = 5")
    intake.start(DESKLINE_INTAKE_PARSE_SECONDS="0.01")
    (event,) = intake.messages(1)
    assert (event.data["text"], event.data["problems"]) == ("Ничего не работает", [])


def test_the_longest_text_fits(intake: Intake, door: Process, form: UUID) -> None:
    text = "ы" * 32_768
    assert door.post_form(form, text=text, name="Анна").status_code == 202
    (event,) = intake.messages(1)
    assert event.data["reply"] == text
    stored = intake.folder / "objects" / event.data["text_object"]["key"]
    assert stored.read_text() == f"{text}\n\n— Анна"
