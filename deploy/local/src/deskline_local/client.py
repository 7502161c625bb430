"""A client of the deployment's doors: SMTP in, HTTP at the gateway."""

import smtplib
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, TypeVar

import httpx

T = TypeVar("T")
PATIENCE_SECONDS: Final = 20.0


class StepFailedError(Exception):
    """A step of the story did not end as told."""


class Desk:
    """Somebody at the gateway, and the world's mail servers at the SMTP door."""

    def __init__(self, gateway_url: str, smtp: tuple[str, int], token: str) -> None:
        self.url = gateway_url
        self.token = token
        self._smtp = smtp
        self._http = httpx.Client(
            base_url=gateway_url, headers={"Authorization": f"Bearer {token}"}, timeout=15.0, trust_env=False
        )

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def mail(self, sender: str, recipient: str, content: bytes) -> None:
        """Deliver a mail; raises smtplib.SMTPException where it is refused."""
        with smtplib.SMTP(*self._smtp, timeout=20) as door:
            door.sendmail(sender, [recipient], content)

    def get(self, path: str, **query: Any) -> Any:
        """What a query answers; raises StepFailedError with the problem."""
        answer = self._http.get(path, params=query)
        return _content(answer)

    def tag(self, ticket_id: str) -> str:
        """The ticket's current version, as If-Match wants it."""
        answer = self._http.get(f"/v1/tickets/{ticket_id}")
        _content(answer)
        return answer.headers["ETag"]

    def put(self, path: str, content: dict[str, Any]) -> Any:
        """Set something up as it is to be; raises StepFailedError with the problem."""
        known = self._http.get(path)
        match = {"If-Match": known.headers["ETag"]} if known.is_success else {}
        return _content(self._http.put(path, json=content, headers=match))

    def post(self, path: str, content: dict[str, Any], *, match: str | None = None) -> Any:
        """Give a command under a key of its own; raises StepFailedError with the problem."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        if match is not None:
            headers["If-Match"] = match
        return _content(self._http.post(path, json=content, headers=headers))


def _content(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise StepFailedError(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}"
        )
    return answer.json()


def until(what: str, ask: Callable[[], T | None], patience: float = PATIENCE_SECONDS) -> T:
    """What the question answers as soon as it is not None; raises StepFailedError naming what never came."""
    deadline = time.monotonic() + patience
    while True:
        answer = ask()
        if answer is not None:
            return answer
        if time.monotonic() > deadline:
            raise StepFailedError(f"{what}: not within {patience:.0f} s")
        time.sleep(0.03)
