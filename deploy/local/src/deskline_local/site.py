"""A deployment that runs, as people and tests act on it, wherever its processes are."""

import base64
import os
import shlex
import subprocess
from email import message_from_bytes
from email.policy import SMTP
from typing import Any, Final, Protocol

import httpx

from deskline_local.errors import StackError, StackUnavailable
from deskline_local.external import KAFKA_VARIABLE, ExternalPostgres
from deskline_local.mailbox import Letter

Host = tuple[str, int]
COMMAND_SECONDS: Final = 120.0
GATEWAY_VARIABLE: Final = "DESKLINE_EXTERNAL_GATEWAY"
SMTP_VARIABLE: Final = "DESKLINE_EXTERNAL_SMTP"
MAILBOX_VARIABLE: Final = "DESKLINE_EXTERNAL_MAILBOX"
COMMAND_VARIABLE: Final = "DESKLINE_EXTERNAL_COMMAND"
KEY_VARIABLE: Final = "DESKLINE_KEY_ENCRYPTION_KEY"
_EXAMPLES: Final = {
    KAFKA_VARIABLE: "127.0.0.1:9092",
    GATEWAY_VARIABLE: "http://127.0.0.1:8080",
    SMTP_VARIABLE: "127.0.0.1:2525",
    MAILBOX_VARIABLE: "http://127.0.0.1:8025",
    COMMAND_VARIABLE: "docker compose exec -T {service} deskline-{service}",
    KEY_VARIABLE: "what the services were given",
}


class Site(Protocol):
    """Doors, stores and commands of a deployment."""

    @property
    def gateway_url(self) -> str:
        """The door for people."""

    @property
    def smtp(self) -> Host:
        """The door for mail: host and port."""

    @property
    def bootstrap(self) -> str:
        """Its Kafka."""

    @property
    def key_encryption_key(self) -> str:
        """What wraps persons' keys: base64 of 32 bytes."""

    def letters(self, recipient: str | None = None) -> list[Letter]:
        """The mail that it sent, oldest first; all of it or one recipient's."""

    def command(self, service: str, *arguments: str) -> str:
        """Run a command of a service and give what it printed; raises StackError."""

    def owner_url(self, service: str) -> str:
        """A service's database, as a role that may read everything."""


class ExternalSite:
    """A deployment somewhere else, by the variables that name its doors; raises StackUnavailable."""

    def __init__(self, variables: dict[str, str]) -> None:
        missing = [name for name in _EXAMPLES if not variables.get(name, "").strip()]
        if missing:
            told = "; ".join(f"{name} (for example {_EXAMPLES[name]})" for name in missing)
            raise StackUnavailable(f"DESKLINE_STACK=external needs {told}")
        self._variables = variables
        self._postgres = ExternalPostgres.from_environment()

    @classmethod
    def from_environment(cls) -> "ExternalSite":
        """The deployment that the environment names."""
        return cls(dict(os.environ))

    @property
    def gateway_url(self) -> str:
        return self._variables[GATEWAY_VARIABLE].rstrip("/")

    @property
    def smtp(self) -> Host:
        host, _, port = self._variables[SMTP_VARIABLE].rpartition(":")
        return host, int(port)

    @property
    def bootstrap(self) -> str:
        return self._variables[KAFKA_VARIABLE]

    @property
    def key_encryption_key(self) -> str:
        return self._variables[KEY_VARIABLE]

    def letters(self, recipient: str | None = None) -> list[Letter]:
        answer = httpx.get(f"{self._variables[MAILBOX_VARIABLE]}/letters", timeout=30.0, trust_env=False)
        answer.raise_for_status()
        found = [_letter(item, to) for item in answer.json()["items"] for to in item["recipients"]]
        return found if recipient is None else [one for one in found if one.recipient == recipient]

    def command(self, service: str, *arguments: str) -> str:
        template = shlex.split(self._variables[COMMAND_VARIABLE])
        words = [word.format(service=service) for word in template]
        done = subprocess.run(  # noqa: S603 -- the command that whoever runs this named
            [*words, *arguments], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        if done.returncode != 0:
            raise StackError(
                f"{' '.join([*words, *arguments])} ended with {done.returncode}:"
                f" {(done.stderr or done.stdout).strip()}"
            )
        return done.stdout

    def owner_url(self, service: str) -> str:
        # The superuser may read what the owner may.
        return self._postgres.url(f"deskline_{service}", None, None)


def _letter(item: dict[str, Any], recipient: str) -> Letter:
    mail: Any = message_from_bytes(base64.b64decode(item["content"]), policy=SMTP)
    return Letter(str(item["sender"]), recipient, mail)
