"""Customers' mail servers: each keeps a mail until it got its 250, and every attempt is noted."""

import itertools
import smtplib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal

from deskline_local.site import Host

Outcome = Literal["accepted", "refused", "unknown"]
PER_SECOND: Final = 2.0
AGAIN_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 400.0
SERVERS: Final = 12
THREAD: Final = 5


class RefusedForGoodError(Exception):
    """The door answered 5xx to a mail that is in order: a real server would give it back."""


@dataclass(frozen=True)
class Attempt:
    """How one delivery ended: `refused` was not taken for certain, of `unknown` nobody can tell."""

    began: float
    ended: float
    message_id: str
    outcome: Outcome


@dataclass(frozen=True)
class Window:
    """What the door did between two moments."""

    accepted: int
    unknown: int
    refused: int
    gap: float


class Senders:
    """A light stream of mails to one line: threads of five, every tenth mail delivered twice."""

    def __init__(self, door: Host, recipient: str) -> None:
        self._door, self._recipient = door, recipient
        self._attempts: list[Attempt] = []
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(SERVERS)
        self._deliveries: list[Future[None]] = []
        self._pace = threading.Thread(target=self._send, name="senders", daemon=True)

    def start(self) -> None:
        self._pace.start()

    def finish(self) -> None:
        """Write no more, and deliver what was written; raises what went wrong with a mail."""
        self._ended.set()
        self._pace.join()
        for one in self._deliveries:
            one.result()
        self._pool.shutdown()

    @property
    def accepted(self) -> list[str]:
        return sorted({one.message_id for one in self._all() if one.outcome == "accepted"})

    @property
    def unknown(self) -> list[str]:
        """Mails that were never accepted for certain."""
        found = {one.message_id for one in self._all() if one.outcome == "unknown"}
        return sorted(found - set(self.accepted))

    def window(self, began: float, ended: float) -> Window:
        """What became of the attempts that ended in it; the longest time without a 250 that touches it."""
        tried = self._all()
        inside = [one.outcome for one in tried if began <= one.ended < ended]
        taken = sorted(one.ended for one in tried if one.outcome == "accepted")
        gaps = [
            later - sooner for sooner, later in itertools.pairwise(taken) if later > began and sooner < ended
        ]
        return Window(
            inside.count("accepted"), inside.count("unknown"), inside.count("refused"), max(gaps, default=0.0)
        )

    def _all(self) -> list[Attempt]:
        with self._guard:
            return list(self._attempts)

    def _send(self) -> None:
        for number in itertools.count():
            if self._ended.wait(1 / PER_SECOND):
                return
            self._deliveries.append(self._pool.submit(self._deliver, number))

    def _deliver(self, number: int) -> None:
        message_id, sender, content = self._mail(number)
        for _ in range(2 if number % 10 == 0 else 1):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while self._attempt(message_id, sender, content) != "accepted":
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{message_id} was not accepted within {PATIENCE_SECONDS:.0f} s")
                time.sleep(AGAIN_SECONDS)

    def _mail(self, number: int) -> tuple[str, str, bytes]:
        person, first = number // THREAD, number - number % THREAD
        host = f"stream{person % 10}.example"
        sender, message_id = f"writer{person}@{host}", f"<stream-{number}@{host}>"
        lines = [
            f"From: Writer {person} <{sender}>",
            f"To: {self._recipient}",
            f"Subject: Question {person}",
            f"Message-ID: {message_id}",
            "Content-Type: text/plain; charset=utf-8",
        ]
        if number != first:
            lines.append(f"References: <stream-{first}@{host}>")
        return message_id, sender, "\r\n".join([*lines, "", f"Сообщение {number}."]).encode()

    def _attempt(self, message_id: str, sender: str, content: bytes) -> Outcome:
        began = time.monotonic()
        outcome = self._speak(message_id, sender, content)
        with self._guard:
            self._attempts.append(Attempt(began, time.monotonic(), message_id, outcome))
        return outcome

    def _speak(self, message_id: str, sender: str, content: bytes) -> Outcome:
        door: smtplib.SMTP | None = None
        sent = False
        try:
            door = smtplib.SMTP(*self._door, timeout=30)
            door.ehlo_or_helo_if_needed()
            for code, _ in (door.mail(sender), door.rcpt(self._recipient)):
                if code != 250:
                    return _refused(message_id, code)
            sent = True
            code, _ = door.data(content)
        except smtplib.SMTPResponseException as answer:
            return _refused(message_id, answer.smtp_code)
        except (smtplib.SMTPException, OSError):
            return "unknown" if sent else "refused"
        else:
            return "accepted" if code == 250 else _refused(message_id, code)
        finally:
            if door is not None:
                # Without QUIT: what it answers changes nothing any more.
                door.close()


def _refused(message_id: str, code: int) -> Outcome:
    if code >= 500:
        raise RefusedForGoodError(f"{message_id}: {code}")
    return "refused"
