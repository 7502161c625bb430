"""Customers who write and operators who work, each noting how every call ended: ok, refused, or unknown."""

import smtplib
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from tests.judging.commands import Given
from tests.judging.waiting import until

from deskline_local.deployment import OWN_DOMAIN

__all__ = ["Customers", "Operator", "until"]

Json = dict[str, Any]
PATIENCE = 120.0
ASK_AGAIN = {408, 409, 429, 500, 502, 503, 504}


@dataclass
class Customers:
    """Mail clients: `persons` people, each with one thread; the first mail opens it, the rest refer to it."""

    port: int
    persons: int
    recipient: str = f"support@{OWN_DOMAIN}"
    accepted: dict[str, int] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def reached(self, goal: int) -> bool:
        return len(self.accepted) >= goal

    def address(self, person: int) -> str:
        return f"customer{person}@client{person % 10}.example"

    def mail(self, number: int) -> tuple[str, str, bytes]:
        person = number % self.persons
        address = self.address(person)
        message_id = f"<{number}@client{person % 10}.example>"
        lines = [
            f"From: Customer {person} <{address}>",
            f"To: {self.recipient}",
            f"Subject: Problem {person} canary{person}.",
            f"Message-ID: {message_id}",
            "Content-Type: text/plain; charset=utf-8",
        ]
        if number >= self.persons:
            lines.append(f"References: <{person}@client{person % 10}.example>")
        text = f"Сообщение {number}, canary{person}."
        return message_id, address, "\r\n".join([*lines, "", text]).encode()

    def deliver(self, number: int) -> None:
        """Try until it is accepted, as mail servers do; every tenth mail is delivered twice."""
        for _ in range(2 if number % 10 == 0 else 1):
            until(f"mail {number} accepted", lambda: self._attempt(number), PATIENCE)

    def _attempt(self, number: int) -> bool:
        message_id, address, content = self.mail(number)
        sent = False
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as door:
                door.ehlo_or_helo_if_needed()
                refused = [door.mail(address)[0], door.rcpt(self.recipient)[0]]
                if refused != [250, 250]:
                    assert all(code == 250 or 400 <= code < 500 for code in refused), refused
                    return False
                sent = True
                code, _ = door.data(content)
        except (smtplib.SMTPException, OSError):
            with self.guard:
                if sent:
                    self.unknown.add(message_id)
            return False
        with self.guard:
            if code == 250:
                self.accepted[message_id] = self.accepted.get(message_id, 0) + 1
        return code == 250


@dataclass
class Operator:
    """Takes what is offered, answers, notes, moves; repeats a call of unknown fate under the same key.

    Or leaves it at that: of such commands one in `leaves_every`, if any, keeps its fate unknown.
    """

    url: str
    token: str
    actor: str | None = None
    leaves_every: int = 0
    given: list[Given] = field(default_factory=list)
    unknown: int = 0
    unanswered: int = 0
    turn: int = 0

    def __post_init__(self) -> None:
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=15.0,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def online(self) -> None:
        """The heartbeat, for as long as it takes."""
        self._insist("POST", "/v1/presence", {"state": "online"}, {"Idempotency-Key": str(uuid.uuid4())})

    def work(self) -> None:
        """One offer, if there is one: four of five are accepted and answered, the fifth is declined."""
        self.online()
        status, found = self._insist("GET", "/v1/offers", None, {})
        if status != 200 or not found["items"]:
            time.sleep(0.1)
            return
        offer = found["items"][0]
        ticket, answer = offer["ticket_id"], {"offer_id": offer["offer_id"]}
        self.turn += 1
        if self.turn % 5 == 0:
            self._command(ticket, "decline", answer)
            return
        if self._command(ticket, "accept", answer).outcome != "ok":
            time.sleep(0.1)
            return
        self._command(ticket, "notes", {"text": "смотрю"})
        card = self._card(ticket)
        self._command(ticket, "replies", {"text": "Проверьте кабель.", "seen_version": card["version"]})
        card = self._card(ticket)
        if self.turn % 2:
            self._command(ticket, "priority", {"priority": "high"}, card["version"])
        else:
            body = {"stage": "resolved", "closing_reason": "solved"}
            self._command(ticket, "stage", body, card["version"])

    def again(self, one: Given, *, leaves_every: int = 0) -> tuple[int, Json]:
        """The same command under the same key; status 0 where it was left without an answer."""
        headers = {"Idempotency-Key": one.key} | ({"If-Match": one.match} if one.match else {})
        path = f"/v1/tickets/{one.ticket_id}/{one.what}"
        return self._insist("POST", path, one.body, headers, leaves_every)

    def _card(self, ticket_id: str) -> Json:
        status, card = self._insist("GET", f"/v1/tickets/{ticket_id}", None, {})
        assert status == 200, card
        return card

    def _command(self, ticket_id: str, what: str, body: Json, version: int | None = None) -> Given:
        key, match = str(uuid.uuid4()), None if version is None else f'"{version}"'
        asked = Given(ticket_id, what, key, body, 0, {}, match, actor=self.actor)
        status, answer = self.again(asked, leaves_every=self.leaves_every)
        given = replace(asked, status=status, answer=answer)
        self.given.append(given)
        return given

    def _insist(
        self, method: str, path: str, body: Json | None, headers: dict[str, str], leaves_every: int = 0
    ) -> tuple[int, Json]:
        deadline = time.monotonic() + PATIENCE
        while True:
            is_unknown = True
            try:
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                self.unknown += 1
            else:
                if answer.status_code not in ASK_AGAIN or self._is_final(answer):
                    return answer.status_code, answer.json()
                self.unknown += answer.status_code >= 500
                is_unknown = answer.status_code not in {429, 503}
            self.unanswered += is_unknown
            if leaves_every and is_unknown and self.unanswered % leaves_every == 0:
                return 0, {}
            assert time.monotonic() < deadline, f"{method} {path}: no answer within {PATIENCE} s"
            time.sleep(0.1)

    @staticmethod
    def _is_final(answer: httpx.Response) -> bool:
        # 409 is what the domain answers to what can't be any more.
        return answer.status_code == 409 and "retry-after" not in answer.headers
