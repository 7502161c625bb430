"""Bad input at every door: a clear error, or a ticket with a notice; never a crash, never silence."""

import asyncio
import email
import hashlib
import importlib.util
import json
import smtplib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from tests.e2e.bad_requests import BAD, Bad
from tests.e2e.hostile_mails import HOSTILE, INJECTING, Hostile
from tests.e2e.scene import PATIENCE, Json, Refused, Scene
from tests.judging.messages import EFFECTS
from tests.judging.records import Published, published

from deskline_local.client import until
from deskline_local.deployment import Doors
from deskline_local.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

MIB = 1024 * 1024
LARGEST_MAIL = 25 * MIB
SAMPLES = 48  # mails in CPython's test.test_email.data, 3.11; beside them lie images and sounds
CANARY = "canary7319"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with System(tmp_path_factory.mktemp("bad-input") / "system", Doors.anywhere()) as system:
        running = Scene(system)
        yield running
        running.desk.close()


@pytest.fixture(autouse=True)
def _nobody_restarts(scene: Scene) -> Iterator[None]:
    with scene.unharmed():
        yield


@pytest.fixture(scope="module")
def line(scene: Scene) -> str:
    return scene.add_line("support")


SUPPORT = "support@desk.example"


def test_oversize_mail_is_refused_before_and_while_it_is_sent(scene: Scene, line: str) -> None:
    with smtplib.SMTP("127.0.0.1", scene.smtp_port, timeout=60) as door:
        door.ehlo()
        assert int(door.esmtp_features["size"]) == LARGEST_MAIL
        code, told = door.mail("big@press.example", [f"SIZE={LARGEST_MAIL + 1}"])
        assert (code, b"size" in told.lower() or b"large" in told.lower()) == (552, True), told
    content = b"From: big@press.example\r\n\r\n" + (b"x" * 998 + b"\r\n") * (LARGEST_MAIL // 1000 + 1)
    assert scene.deliver("big@press.example", SUPPORT, content) == Refused(552, "5.3.4 Message is too large")
    assert scene.tickets(line) == []
    assert scene.deliver("a@press.example", "nobody@desk.example", b"x\r\n") == Refused(
        550, "5.1.1 No such mailbox here"
    )


def _sent(content: bytes) -> bytes:
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def test_hostile_mails_are_tickets_with_a_notice_and_the_raw_mail(scene: Scene, line: str) -> None:
    accepted: dict[str, Hostile] = {}
    for hostile in HOSTILE:
        answer = scene.deliver(hostile.sender, SUPPORT, hostile.content)
        assert isinstance(answer, str), f"{hostile.name}: {answer}"
        accepted[answer] = hostile
        scene.assert_ready()
    tickets = scene.opened_by(line, set(accepted))
    assert len(set(tickets.values())) == len(HOSTILE)
    for raw_id, hostile in accepted.items():
        (message,) = scene.desk.get(f"/v1/tickets/{tickets[raw_id]}")["messages"]
        assert hostile.problems <= set(message["problems"]), f"{hostile.name}: {message['problems']}"
        first = scene.desk.get(f"/v1/tickets/{tickets[raw_id]}/history")["events"][0]
        raw = first["data"]["message"]["raw"]
        assert (raw is not None) == hostile.unread, f"{hostile.name}: {raw}"
        if raw is not None:
            assert message["problems"], hostile.name
            stored = (scene.system.folder / "objects" / raw["key"]).read_bytes()
            assert stored == _sent(hostile.content), hostile.name
            assert raw["sha256"] == hashlib.sha256(stored).hexdigest()
            assert message["raw"] == {"size": len(stored), "sha256": raw["sha256"]}


def test_injected_headers_stay_one_value(scene: Scene, line: str) -> None:
    raw_id = scene.deliver("injecting@press.example", SUPPORT, INJECTING)
    assert isinstance(raw_id, str)
    card = scene.desk.get(f"/v1/tickets/{scene.opened_by(line, {raw_id})[raw_id]}")
    (attachment,) = card["messages"][0]["attachments"]
    assert card["subject"] == "a X-Evil: 1 body"
    for value in (card["subject"], attachment["filename"]):
        assert not set("\r\n\0/\\") & set(value), value
    with smtplib.SMTP("127.0.0.1", scene.smtp_port, timeout=60) as door:
        door.ehlo()
        code, _ = door.docmd("MAIL", "FROM:<a@press.example> SIZE=1 INJECTED=1")
        assert 500 <= code < 600
        door.send(b"MAIL FROM:<a@press.example\rRCPT TO:<support@desk.example>>\r\n")
        code, _ = door.getreply()
        assert 500 <= code < 600


def _samples() -> dict[str, bytes]:
    found = importlib.util.find_spec("test.test_email")
    if found is None or found.origin is None:
        pytest.skip("this Python came without its own tests, so their mails are not there")
    files = {file.name: file.read_bytes() for file in (Path(found.origin).parent / "data").iterdir()}
    mails = [name for name in files if name.endswith(".txt")]
    assert len(mails) >= SAMPLES, len(mails)
    # Mail programs send CR LF.
    return {
        name: content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if name in mails else content
        for name, content in sorted(files.items())
    }


SAID = ("message-id", "from", "subject", "content-type", "content-transfer-encoding")


def _repeats(mails: dict[str, bytes]) -> set[str]:
    """Those that say the same under the same Message-ID as one before them: one mail, delivered again."""
    seen: set[tuple[str | None, ...]] = set()
    found: set[str] = set()
    for name, content in mails.items():
        head = email.message_from_bytes(content)
        said = (*(head[one] for one in SAID), content.partition(b"\r\n\r\n")[2].decode("latin-1"))
        if head["message-id"] is not None:
            found |= {name} if said in seen else set()
            seen.add(said)
    return found


def test_each_of_cpythons_own_samples_has_one_effect_or_is_refused(scene: Scene) -> None:
    line_id = scene.add_line("samples")
    samples = _samples()
    answers = {
        name: scene.deliver("sample@press.example", "samples@desk.example", content)
        for name, content in samples.items()
    }
    refused = {name: answer for name, answer in answers.items() if isinstance(answer, Refused)}
    accepted = {answer: name for name, answer in answers.items() if isinstance(answer, str)}
    assert all(500 <= answer.code < 600 and answer.reason for answer in refused.values()), refused
    repeats = _repeats({name: samples[name] for name in accepted.values()})

    def all_there() -> dict[str, list[Published]] | None:
        effects = _effects(scene, set(accepted))
        return effects if len(effects) >= len(accepted) - len(repeats) else None

    effects = until(f"an effect of each of {len(accepted)} samples", all_there, PATIENCE)
    assert {accepted[raw_id] for raw_id, events in effects.items() if len(events) != 1} == set()
    assert {accepted[raw_id] for raw_id in set(accepted) - set(effects)} == repeats
    assert len(effects) + len(repeats) + len(refused) == len(samples)
    kinds = Counter(event.type.split(".")[2] for (event,) in effects.values())
    print(f"\n{len(samples)} samples: {len(refused)} refused, {len(repeats)} repeated, {dict(kinds)}")

    until(
        "every opened ticket in the list",
        lambda: True if len(scene.tickets(line_id)) == kinds["TicketOpened"] else None,
        PATIENCE,
    )
    listed = scene.desk.get(f"/v1/lines/{line_id}/set-aside", limit=100)["items"]
    aside = {e.data["source_key"] for (e,) in effects.values() if e.type.endswith(".MessageSetAside.v1")}
    assert {one["source_key"] for one in listed} == aside
    assert len(listed) == len(aside) == kinds["MessageSetAside"] > 0
    assert {one["reason"] for one in listed} <= {"bounce", "list", "own_loop"}


def _effects(scene: Scene, raw_ids: set[str]) -> dict[str, list[Published]]:
    """Accepted mail → the tickets' events that it caused, each counted once."""
    effects: dict[str, dict[str, Published]] = {}
    for record in published(scene.bootstrap, "deskline.tickets.events"):
        cause = record.headers["ce_correlationid"]
        if record.type in EFFECTS and cause in raw_ids:
            effects.setdefault(cause, {})[record.id] = record
    return {cause: list(events.values()) for cause, events in effects.items()}


def _filled(value: Any, known: dict[str, str]) -> Any:
    """The value with what is only known now in the place of its marks."""
    match value:
        case str():
            for name, text in known.items():
                value = value.replace(f"{{{name}}}", text)
            return value
        case dict():
            return {key: _filled(inner, known) for key, inner in value.items()}
        case list():
            return [_filled(inner, known) for inner in value]
    return value


def _complaints(bad: Bad, answer: httpx.Response) -> list[str]:
    """What is wrong with a refusal."""
    if answer.headers["content-type"] != "application/problem+json":
        return [f"{answer.status_code}, no problem but {answer.headers['content-type']}"]
    problem = answer.json()
    found = []
    if (answer.status_code, problem["status"], problem["code"]) != (bad.status, bad.status, bad.code):
        found.append(f"{answer.status_code} {problem}, not {bad.status} {bad.code}")
    named = [f"{wrong['field']}: {wrong['message']}" for wrong in problem.get("errors", [])]
    if not any(len(told.split()) > 2 for told in [problem.get("detail", ""), *named]) or not problem["title"]:
        found.append(f"no sentence that helps: {problem}")
    if problem["type"] != f"urn:deskline:problem:{bad.code}" or not problem["trace_id"]:
        found.append(f"no type or trace: {problem}")
    return found


@pytest.fixture
def clients(scene: Scene) -> Iterator[dict[str | None, httpx.Client]]:
    """A client of each role that the requests need, and one without a token."""
    with ExitStack() as closing:
        yield {
            role: closing.enter_context(
                httpx.Client(
                    base_url=scene.system.deployment.gateway_url,
                    headers={} if role is None else {"Authorization": f"Bearer {scene.token(role)}"},
                    timeout=30,
                    trust_env=False,
                )
            )
            for role in {bad.role for bad in BAD}
        }


def test_bad_requests_are_told_what_is_wrong_and_change_nothing(
    scene: Scene, line: str, clients: dict[str | None, httpx.Client]
) -> None:
    raw_id = scene.deliver("patient@press.example", SUPPORT, b"Subject: patient\r\n\r\nWaiting.\r\n")
    assert isinstance(raw_id, str)
    ticket = f"/v1/tickets/{scene.opened_by(line, {raw_id})[raw_id].lower()}"
    operator, used = clients["operator"], str(uuid4())
    first = operator.post(f"{ticket}/notes", json={"text": "a"}, headers={"Idempotency-Key": used})
    assert first.status_code == 201
    before = operator.get(ticket)
    known = {
        "ticket": ticket.rpartition("/")[2],
        "line": line,
        "used": used,
        "etag": before.headers["ETag"],
    }
    wrong: list[str] = []
    for bad in BAD:
        now = known | {"other": str(uuid4()), "key": str(uuid4())}
        body = {"content": bad.content} if bad.json is None else {"json": _filled(bad.json, now)}
        answer = clients[bad.role].request(
            bad.method, _filled(bad.path, now), headers=_filled(bad.headers, now), **body
        )
        wrong += [f"{bad.wrong}: {complaint}"[:600] for complaint in _complaints(bad, answer)]
        after = operator.get(ticket)
        if (after.headers["ETag"], after.content) != (before.headers["ETag"], before.content):
            wrong.append(f"{bad.wrong}: the ticket changed")
    assert not wrong, "\n".join(wrong)


def _envelope(owner: str, kind: str) -> list[tuple[str, bytes]]:
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_source": f"/deskline/{owner}",
        "ce_type": kind,
        "ce_time": datetime.now(UTC).isoformat(),
        "ce_subject": str(uuid4()),
        "ce_sequence": "1",
        "ce_correlationid": str(uuid4()),
        "deskline-epoch": "1",
        "deskline-generation": "1",
    }
    return [(name, value.encode()) for name, value in headers.items()]


Foreign = tuple[str, list[tuple[str, bytes]], bytes | None]


def _unreadable(owner: str, known: str) -> dict[str, Foreign]:
    """Record by record, with the cause that must be named."""
    topic = f"deskline.{owner}.events"
    return {
        "ce_specversion is not 1.0": (topic, [], f"{CANARY} is no event".encode()),
        "unknown type or newer version": (
            topic,
            _envelope(owner, f"deskline.{owner}.Rumour{CANARY}.v9"),
            b"{}",
        ),
        "its data is not JSON": (topic, _envelope(owner, known), f"\xff{CANARY}".encode("latin-1")),
        "its data is not an object": (topic, _envelope(owner, known), b"[]"),
        "ValidationError": (topic, _envelope(owner, known), json.dumps({CANARY: CANARY}).encode()),
        "its source is not the owner": (topic, _envelope("nobody", known), b"{}"),
    }


async def _write(bootstrap: str, records: list[Foreign]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for topic, headers, value in records:
            await producer.send_and_wait(topic, value, headers=headers)


def test_unreadable_records_are_parked_with_their_cause_and_the_others_flow(scene: Scene, line: str) -> None:
    records = {
        "intake": _unreadable("intake", "deskline.intake.MessageReceived.v1"),
        "tickets": _unreadable("tickets", "deskline.tickets.TicketOpened.v1"),
    }
    asyncio.run(_write(scene.bootstrap, [one for of in records.values() for one in of.values()]))
    assert _parked(scene, "tickets", "intake") == len(records["intake"])
    assert _parked(scene, "analytics", "intake") == len(records["intake"])
    assert _parked(scene, "analytics", "tickets") == len(records["tickets"])
    raw_id = scene.deliver("later@press.example", SUPPORT, b"Subject: later\r\n\r\nIt flows.\r\n")
    assert isinstance(raw_id, str)
    ticket_id = scene.opened_by(line, {raw_id})[raw_id]
    assert scene.desk.get(f"/v1/tickets/{ticket_id}")["subject"] == "later"


def _parked(scene: Scene, reader: str, owner: str) -> int:
    """How many records of an owner's topic a reader parked, once every cause is among theirs."""
    causes = set(_unreadable(owner, "x"))

    def all_there() -> list[Json] | None:
        told = scene.system.command(reader, "parked", "list")
        assert CANARY not in told
        lines = [json.loads(one) for one in told.splitlines()]
        mine = [one for one in lines if one["topic"] == f"deskline.{owner}.events"]
        named = {cause for cause in causes for one in mine if cause in one["cause"]}
        return mine if named == causes else None

    return len(until(f"{reader} parked what {owner} never wrote", all_there, PATIENCE))
