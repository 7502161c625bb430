"""Those who use the system while it is disturbed: mails, forms, and how every call of theirs ended."""

import random
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import httpx

Outcome = Literal["ok", "fail", "info"]
"""Done; not done and without effect; nobody knows."""

SMTP_SECONDS = 15.0
HTTP_SECONDS = 15.0
PAUSE_SECONDS = 0.3
NEW, FORMS = 0.14, 0.10
"""Of all messages: mails that open a ticket, and forms; the rest are replies."""

TWICE, IMPATIENT = 0.03, 0.05
"""Of all messages: mails delivered a second time, and those whose sender tries once and leaves."""

FIRST = 20
RECENT = 400
DEFINITE = {400, 403, 404, 409, 422}


@dataclass(frozen=True)
class Message:
    """One message: `id` is its Message-ID, or the key of a form; `opens` says that it is not a reply."""

    number: int
    kind: Literal["mail", "form"]
    id: str
    person: int
    thread: str | None
    twice: bool = False
    impatient: bool = False


@dataclass
class Ledger:
    """What every call came to; a message is ok when one was, unknown when one was that and none ok."""

    calls: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    fates: dict[str, set[Outcome]] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    threads: list[Message] = field(default_factory=list)
    accepted: int = 0
    last_ok: datetime | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def note(self, message: Message, outcome: Outcome) -> None:
        with self._guard:
            self.calls[message.kind, outcome] += 1
            fates = self.fates.setdefault(message.id, set())
            self.messages[message.id] = message
            if outcome == "ok" and "ok" not in fates:
                self.accepted += 1
                self.last_ok = datetime.now(UTC)
                if message.kind == "mail" and message.thread is None:
                    self.threads.append(message)
            fates.add(outcome)

    def of(self, kind: str, outcome: Outcome) -> list[str]:
        """The messages of a kind that came to this end."""
        with self._guard:
            return [
                one.id for one in self.messages.values() if one.kind == kind and self._fate(one.id) == outcome
            ]

    def _fate(self, message: str) -> Outcome:
        fates = self.fates[message]
        return "ok" if "ok" in fates else "info" if "info" in fates else "fail"


@dataclass
class Doors:
    """Where people come in: several of each, for there are replicas."""

    smtp: Sequence[tuple[str, int]]
    gateways: Sequence[str]
    recipient: str
    form_line: str


def address(person: int) -> str:
    return f"customer{person}@client{person % 10}.example"


def canary(person: int) -> str:
    """The word that stands in all that this person writes."""
    return f"canary{person}."


def mail_of(message: Message, recipient: str) -> bytes:
    person = message.person
    lines = [
        f"From: Customer {person} <{address(person)}>",
        f"To: {recipient}",
        f"Subject: Problem {person} {canary(person)}",
        f"Message-ID: {message.id}",
        "Content-Type: text/plain; charset=utf-8",
    ]
    if message.thread is not None:
        lines.append(f"References: {message.thread}")
    text = f"Сообщение {message.number}, {canary(person)}\r\n" + "Не открывается страница.\r\n" * 10
    return "\r\n".join([*lines, "", text]).encode()


def form_of(message: Message) -> dict[str, str]:
    person = message.person
    return {
        "address": address(person),
        "name": f"Customer {person}",
        "subject": f"Form {person} {canary(person)}",
        "text": f"Форма {message.number}, {canary(person)}",
    }


class Crowd:
    """Senders at a pace: so many messages a second in all, caught up after every outage."""

    def __init__(self, doors: Doors, seed: int, rate: float) -> None:
        self.ledger = Ledger()
        self.doors = doors
        self._rate = rate
        self._chance = random.Random(seed)
        self._turn = threading.Lock()
        self._began = 0.0
        self._first = self._number = 0
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def start(self, senders: int) -> None:
        self._began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._send, args=(number,), name=f"sender-{number}", daemon=True)
            for number in range(senders)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self._rate

    def go_on(self, rate: float) -> None:
        """At another pace, whatever is not caught up yet."""
        with self._turn:
            self._began, self._first, self._rate = time.monotonic(), self._number, rate

    @contextmanager
    def at(self, rate: float) -> Iterator[None]:
        """For a while at another pace."""
        before = self.rate
        self.go_on(rate)
        try:
            yield
        finally:
            self.go_on(before)

    def end(self, seconds: float) -> None:
        """Nobody begins another message; those who are at one end it."""
        self._ended.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        self.check()
        left = [thread.name for thread in self._threads if thread.is_alive()]
        assert not left, f"{left} still try to send after {seconds} s"

    def check(self) -> None:
        """Raise what ended a sender that should have gone on."""
        if self._failures:
            raise self._failures[0]

    def _send(self, number: int) -> None:
        sender = _Sender(self.doors, self.ledger, number)
        try:
            while (message := self._next()) is not None:
                sender.deliver(message)
        except BaseException as failure:  # noqa: BLE001 -- told to whoever ends the crowd
            self._failures.append(failure)
        finally:
            sender.close()

    def _next(self) -> Message | None:
        """The next message, when its time has come."""
        with self._turn:
            due = self._began + (self._number - self._first) / self._rate
            message = self._make(self._number)
            self._number += 1
        if self._ended.wait(max(0.0, due - time.monotonic())):
            return None
        return message

    def _make(self, number: int) -> Message:
        chance, twice = self._chance.random(), self._chance.random() < TWICE
        impatient = self._chance.random() < IMPATIENT
        threads = self.ledger.threads
        if chance < FORMS:
            return Message(number, "form", f"form-{number}", number, None, impatient=impatient)
        if chance < FORMS + NEW or len(threads) < FIRST:
            made = f"<{number}@client{number % 10}.example>"
            return Message(number, "mail", made, number, None, twice, impatient)
        first = threads[-self._chance.randint(1, min(RECENT, len(threads)))]
        made = f"<{number}@client{first.person % 10}.example>"
        return Message(number, "mail", made, first.person, first.id, twice, impatient)


class _Sender:
    """One connection to a mail door and one to a gateway, kept for as long as they last."""

    def __init__(self, doors: Doors, ledger: Ledger, number: int) -> None:
        self._doors = doors
        self._ledger = ledger
        self._turn = number
        self._smtp: smtplib.SMTP | None = None
        self._http = httpx.Client(timeout=HTTP_SECONDS, trust_env=False)

    def close(self) -> None:
        self._hang_up()
        self._http.close()

    def deliver(self, message: Message) -> None:
        """Until it is accepted, as mail servers and patient people do; or once."""
        again = message.twice
        while True:
            outcome = self._mail(message) if message.kind == "mail" else self._form(message)
            self._ledger.note(message, outcome)
            if outcome == "ok" and again:
                again = False
                continue
            if outcome == "ok" or message.impatient:
                return
            time.sleep(PAUSE_SECONDS)

    def _mail(self, message: Message) -> Outcome:
        sent = False
        try:
            door = self._door()
            code, _ = door.mail(address(message.person))
            if code == 250:
                code, _ = door.rcpt(self._doors.recipient)
            if code != 250:
                assert 400 <= code < 500, code
                self._hang_up()
                return "fail"
            sent = True
            code, _ = door.data(mail_of(message, self._doors.recipient))
        except (smtplib.SMTPException, OSError):
            self._hang_up()
            return "info" if sent else "fail"
        if code == 250:
            return "ok"
        self._hang_up()
        # RFC 5321, 4.2.1: the sender keeps the mail and is to try again; whether it is there already
        # is not said, as where the answer to a commit was lost.
        assert 400 <= code < 500, code
        return "info"

    def _door(self) -> smtplib.SMTP:
        if self._smtp is None:
            self._turn += 1
            host, port = self._doors.smtp[self._turn % len(self._doors.smtp)]
            self._smtp = smtplib.SMTP(host, port, timeout=SMTP_SECONDS)
            self._smtp.ehlo_or_helo_if_needed()
        return self._smtp

    def _hang_up(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    def _form(self, message: Message) -> Outcome:
        self._turn += 1
        gateway = self._doors.gateways[self._turn % len(self._doors.gateways)]
        url = f"{gateway}/v1/lines/{self._doors.form_line}/messages"
        try:
            answer = self._http.post(url, json=form_of(message), headers={"Idempotency-Key": message.id})
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return "fail"
        except httpx.TransportError:
            return "info"
        if answer.status_code == 202:
            return "ok"
        assert answer.status_code not in DEFINITE, f"{answer.status_code} {answer.text}"
        return "fail" if answer.status_code in {429, 503} else "info"
