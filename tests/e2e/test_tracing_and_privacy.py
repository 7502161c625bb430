"""One trace from each door to the projection; a person's words where they belong, and nowhere else."""

import asyncio
import base64
import hashlib
import json
import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from tests.e2e.scene import PATIENCE, Json, Scene
from tests.judging.records import person_keys, published
from tests.witness import opened, read_topic

from deskline_local.client import until
from deskline_local.deployment import SERVICES, Doors
from deskline_local.office import FIRST_QUEUE, FIRST_TEAM, Office, Person
from deskline_local.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SUPPORT = "support@desk.example"
DOMAIN = "zimorodok7319domain.example"
SENDER = f"zimorodok7319address@{DOMAIN}"
OPERATORS = ("зимородок7319заметка", "зимородок7319ответ")
WRITTEN = {
    "subject": "зимородок7319тема",
    "body": "зимородок7319текст",
    "quoted": "зимородок7319цитата",
    "file name": "зимородок7319файл",
    "display name": "зимородок7319имя",
    "address": SENDER,
    "domain": DOMAIN,
    "message id": "zimorodok7319id",
    "html": "zimorodok7319html",
    "note": OPERATORS[0],
    "reply": OPERATORS[1],
    "refused": "zimorodok7319refused",
    "operator's name": "зимородок7319оператор",
    "operator's address": "zimorodok7319operator@staff.example",
}
OPERATOR = "0e000000-0000-7000-8000-00000000d001"


def _forms(word: str) -> set[bytes]:
    """A word as it might stand in a file: as written, in other charsets, escaped, encoded, hashed."""
    forms = {
        word,
        word.upper(),
        json.dumps(word)[1:-1],
        quote(word),
        ascii(word)[1:-1],
        word.partition("@")[0],
    }
    found = {form.encode() for form in forms} | {word.encode("cp1251"), word.encode("utf-16-le")}
    for around in (b"", b"x", b"xx"):
        # Base64 depends on what stands before; its ends depend on the neighbours too.
        found.add(base64.b64encode(around + word.encode())[4:-4])
    found.add(hashlib.sha256(word.encode()).hexdigest().encode())
    return found


MARKS = {form: what for what, word in WRITTEN.items() for form in _forms(word)}


def leaks(content: bytes) -> set[str]:
    return {what for form, what in MARKS.items() if form in content}


def mail(message_id: str, **headers: str) -> bytes:
    made = EmailMessage(policy=SMTP)
    made["From"] = f"{WRITTEN['display name']} <{SENDER}>"
    made["To"] = SUPPORT
    made["Subject"] = WRITTEN["subject"]
    made["Message-ID"] = f"<{WRITTEN['message id']}{message_id}@{DOMAIN}>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    quoted = f"21 ноября 2026 г., 10:15, Анна <anna@zavod.example> пишет:\r\n> {WRITTEN['quoted']}\r\n"
    made.set_content(f"{WRITTEN['body']} {message_id}\r\n\r\n{quoted}", charset="utf-8", cte="base64")
    made.add_alternative(f"<p>{WRITTEN['html']} {message_id}</p>", subtype="html")
    made.add_attachment(
        b"x" * 64, maintype="application", subtype="pdf", filename=f"{WRITTEN['file name']}.pdf"
    )
    return made.as_bytes()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("privacy") / "system"
    with System(folder, Doors.anywhere(), trace_sample=1.0) as system:
        running = Scene(system)
        with running.unharmed():
            yield running
        running.desk.close()


@pytest.fixture(scope="module")
def line(scene: Scene) -> str:
    """A mailbox, and an operator to whom its tickets are offered."""
    office = Office(scene.system)
    team = f"/v1/teams/{FIRST_TEAM}"
    office.admin.put(team, {"name": "all"})
    office.admin.put(
        f"/v1/operators/{OPERATOR}",
        {
            "name": WRITTEN["operator's name"],
            "address": WRITTEN["operator's address"],
            "language": "ru",
            "team_ids": [FIRST_TEAM],
            "capacity": 100,
        },
    )
    office.admin.put(f"/v1/queues/{FIRST_QUEUE}", {"name": "all", "team_id": FIRST_TEAM, "order": 1})
    desk = office.desk(Person("", OPERATOR, ("operator",)))
    desk.post("/v1/presence", {"state": "online"})
    desk.close()
    office.close()
    return scene.add_line("support")


@pytest.fixture(scope="module")
def ticket(scene: Scene, line: str) -> str:
    """The ticket that the mail with the words opened."""
    raw_id = scene.deliver(SENDER, SUPPORT, mail("1"))
    assert isinstance(raw_id, str)
    return scene.opened_by(line, {raw_id})[raw_id]


def _spans(scene: Scene, trace_id: str, *services: str) -> list[Json]:
    """The trace, once it has passed these services and each of its spans has its parent."""

    def whole() -> list[Json] | None:
        lines = scene.system.deployment.trace_file.read_text().splitlines()
        spans = [span for span in map(json.loads, lines) if span["trace_id"] == trace_id]
        ids = {span["span_id"] for span in spans}
        orphans = [span for span in spans if span["parent_id"] is not None and span["parent_id"] not in ids]
        return spans if set(services) <= {span["service"] for span in spans} and not orphans else None

    return until(f"a whole trace through {', '.join(services)}", whole, PATIENCE)


def _names(spans: list[Json], service: str) -> set[str]:
    return {span["name"] for span in spans if span["service"] == service}


def test_one_trace_goes_from_the_mail_door_to_the_projection(scene: Scene, ticket: str) -> None:
    (event,) = [
        record for record in published(scene.bootstrap, "deskline.tickets.events") if record.stream == ticket
    ][:1]
    trace_id = event.headers["traceparent"].split("-")[1]
    spans = _spans(scene, trace_id, "intake", "tickets", "routing", "sla", "notify", "analytics")
    (root,) = [span for span in spans if span["parent_id"] is None]
    assert (root["service"], root["name"]) == ("intake", "mail accepted")
    assert _names(spans, "intake") >= {"mail accepted", "mail read", "relay publish"}
    assert _names(spans, "tickets") >= {"deskline.tickets apply", "relay publish"}
    assert _names(spans, "analytics") == {"deskline.analytics apply"}


def test_one_trace_goes_from_an_operators_command_to_the_projection(scene: Scene, ticket: str) -> None:
    answer = _command(scene, ticket, "notes", {"text": OPERATORS[0]})
    assert answer.status_code == 201
    trace_id = answer.headers["X-Request-Id"]
    spans = _spans(scene, trace_id, "gateway", "tickets", "analytics")
    (root,) = [span for span in spans if span["parent_id"] is None]
    assert (root["service"], root["name"]) == ("gateway", "POST /v1/tickets/{ticket_id}/notes")
    assert _names(spans, "tickets") >= {"POST /v1/tickets/{ticket_id}/notes", "relay publish"}
    assert _names(spans, "analytics") == {"deskline.analytics apply"}
    version = answer.json()["version"]
    (event,) = [
        record
        for record in published(scene.bootstrap, "deskline.tickets.events")
        if (record.stream, record.sequence) == (ticket, version)
    ]
    assert event.headers["traceparent"].split("-")[1] == trace_id


def test_a_refusal_names_the_trace_that_the_owner_logged(scene: Scene) -> None:
    answer = httpx.get(
        f"{scene.system.deployment.gateway_url}/v1/tickets/{uuid4()}",
        headers={"Authorization": f"Bearer {scene.desk.token}"},
    )
    assert answer.status_code == 404
    assert answer.json()["trace_id"] == answer.headers["X-Request-Id"]
    spans = _spans(scene, answer.json()["trace_id"], "gateway", "tickets")
    assert {span["attributes"]["http_status"] for span in spans} == {404}


def _command(scene: Scene, ticket: str, what: str, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{scene.system.deployment.gateway_url}/v1/tickets/{ticket}/{what}",
        json=body,
        headers={"Authorization": f"Bearer {scene.desk.token}", "Idempotency-Key": str(uuid4())} | headers,
        timeout=30,
    )


def _many_deliveries(scene: Scene) -> None:
    """Repeated, at once, threaded, broken and large: the ways on which words could get lost."""
    reply_to = f"<{WRITTEN['message id']}1@{DOMAIN}>"
    broken = mail("broken").replace(b"--=====", b"--=-===").replace(b"utf-8", b"x-none")
    mails = [
        mail("1"),
        *(mail(f"at once {number}", References=reply_to) for number in range(4)),
        mail("automatic", References=reply_to, Auto_Submitted="auto-replied"),
        broken,
        mail("large") + b"\r\n" + f"{WRITTEN['body']} ".encode() * 20_000,
    ]
    with ThreadPoolExecutor(len(mails)) as pool:
        answers = list(pool.map(lambda content: scene.deliver(SENDER, SUPPORT, content), mails))
    assert all(isinstance(answer, str) for answer in answers), answers


def _told(scene: Scene) -> bool:
    told = {letter.recipient for letter in scene.system.mailbox.letters()}
    return {SENDER, WRITTEN["operator's address"]} <= told


def _refusals(scene: Scene, ticket: str) -> None:
    """What is refused is quoted nowhere but in the refusal."""
    refused = WRITTEN["refused"]
    for body in ({"text": 5, refused: refused}, {"text": refused * 10_000}, [refused], refused):
        assert _command(scene, ticket, "notes", body).status_code in {413, 422}
    assert _command(scene, ticket, "stage", {"stage": refused}, **{"If-Match": refused}).is_client_error
    assert _command(scene, refused, "notes", {"text": refused}).status_code == 422
    for path in (f"tickets?subject={refused}", f"tickets?cursor={refused}", refused, f"tickets/{refused}"):
        url = f"{scene.system.deployment.gateway_url}/v1/{path}"
        for token in (scene.desk.token, refused):
            assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).is_client_error
    with smtplib.SMTP("127.0.0.1", scene.smtp_port, timeout=30) as door:
        for command in (f"EHLO {refused}", f"MAIL FROM:<{refused}", f"{refused}", f"VRFY {refused}"):
            door.docmd(command)
        door.mail(SENDER)
        assert door.rcpt(f"{refused}@{DOMAIN}")[0] == 550


def test_words_are_found_in_what_holds_them() -> None:
    sent = mail("1")
    assert leaks(sent) >= {"subject", "body", "quoted", "display name", "address", "html"}
    for what, word in WRITTEN.items():
        for line in (
            json.dumps({"event": f"took {word}"}),
            f"GET /v1/{quote(word)}?x",
            word.upper(),
            repr(word),
        ):
            assert what in leaks(line.encode()), line
        assert what in leaks(base64.b64encode(f"It says {word}, and more.".encode())), what
        assert leaks(b'{"event":"mail accepted","size":7319}') == set()


def _assert_card_shows_everything(card: Json) -> None:
    first, *others = card["messages"]
    assert card["subject"] == WRITTEN["subject"]
    assert first["reply"] == f"{WRITTEN['body']} 1"
    assert WRITTEN["quoted"] in first["text"]
    assert [one["filename"] for one in first["attachments"]] == [f"{WRITTEN['file name']}.pdf"]
    shown = {(message["kind"], message["text"]) for message in others}
    assert {("note", OPERATORS[0]), ("reply", OPERATORS[1])} <= shown


def test_words_are_on_the_card_and_in_no_log_header_key_value_span_or_metric(
    scene: Scene, ticket: str
) -> None:
    assert _command(scene, ticket, "notes", {"text": OPERATORS[0]}).status_code == 201
    reply = {"text": OPERATORS[1], "seen_version": 1, "then_stage": "in_progress"}
    assert _command(scene, ticket, "replies", reply).status_code == 201
    _many_deliveries(scene)
    _refusals(scene, ticket)

    def settled() -> Json | None:
        card: Json = scene.desk.get(f"/v1/tickets/{ticket}")
        listed = scene.desk.get(f"/v1/tickets/by-number/{card['number']}")["ticket"]
        # Four replies at once, an automatic one, the opening one, and what the operator wrote.
        whole = len([one for one in card["messages"] if one["author"]["kind"] == "contact"]) == 6
        return card if whole and listed["version"] == card["version"] else None

    card = until("everything on the card and in the list", settled, PATIENCE)
    _assert_card_shows_everything(card)
    # A test that looks for words of the mails must have seen mails on their way.
    until("a mail to the customer and one to the operator", lambda: _told(scene) or None, PATIENCE)
    _assert_topics_hold_sealed_words_only(scene, ticket)
    _assert_metrics_hold_no_words(scene)
    _assert_files_hold_no_words(scene)


async def _topics(bootstrap: str) -> set[str]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        names: set[str] = await consumer.topics()
        return names


def _assert_topics_hold_sealed_words_only(scene: Scene, ticket: str) -> None:
    topics = asyncio.run(_topics(scene.bootstrap))
    assert topics >= {"deskline.intake.events", "deskline.intake.keys", "deskline.tickets.events"}
    for topic in topics:
        records = asyncio.run(read_topic(scene.bootstrap, topic))
        assert records, f"nothing on {topic}"
        for record in records:
            parts = [record.key or b"", record.value or b""]
            parts += [name.encode() + b" " + (value or b"") for name, value in record.headers]
            assert leaks(b"\n".join(parts)) == set(), f"{topic} {record.partition}/{record.offset}"
    secret = scene.system.deployment.environment("intake")["DESKLINE_KEY_ENCRYPTION_KEY"]
    keys = person_keys(scene.bootstrap, "deskline.intake.keys", secret)
    first = next(r for r in published(scene.bootstrap, "deskline.tickets.events") if r.stream == ticket)
    assert opened(first.data["subject"], first.id, "subject", keys) == WRITTEN["subject"]


def _assert_metrics_hold_no_words(scene: Scene) -> None:
    for service in SERVICES:
        figures = httpx.get(f"http://127.0.0.1:{scene.system.deployment.ports[service]}/metrics").content
        assert b"deskline_" in figures, service
        assert leaks(figures) == set(), service


def _assert_files_hold_no_words(scene: Scene) -> None:
    """Logs of services and servers, segments of Kafka's topics, its own included, spans, names of objects."""
    folder = scene.system.folder
    logs = {path.relative_to(folder): path.read_bytes() for path in _files(folder, "*.log*")}
    assert {f"{service}.log" for service in SERVICES} <= {path.name for path in logs}
    for server in (scene.system.stack.kafka, scene.system.stack.postgres):
        logs |= server.written()
    assert any(b"database system is ready" in content for content in logs.values()), "no log of PostgreSQL"
    assert any(path.parent.name.startswith("deskline.tickets.events-") for path in logs), "no Kafka segment"
    spans = scene.system.deployment.trace_file
    assert {json.loads(one)["service"] for one in spans.read_text().splitlines()} == set(SERVICES)
    for path, content in (logs | {spans.relative_to(folder): spans.read_bytes()}).items():
        assert leaks(content) == set(), path
        assert leaks(str(path).encode()) == set(), path
    for path in _files(folder / "objects", "*"):
        assert leaks(str(path.relative_to(folder)).encode()) == set(), path


def _files(folder: Path, pattern: str) -> list[Path]:
    return [path for path in folder.rglob(pattern) if path.is_file()]
