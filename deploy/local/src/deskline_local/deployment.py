"""The deployment's configuration: secrets made once and kept, and each service's environment."""

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deskline_local.folder import Folder
from deskline_local.ports import from_environment
from deskline_local.stack import ServiceDatabase, Stack

SERVICES: Final = ("intake", "tickets", "routing", "sla", "notify", "analytics", "gateway")
OWN_DOMAIN: Final = "desk.example"
GATEWAY_PORT: Final = 8080
SMTP_PORT: Final = 2525
MAILBOX_PORT: Final = 2526

_OWNERS: Final = ("intake", "tickets", "routing", "sla", "notify", "analytics")


@dataclass(frozen=True, slots=True)
class Doors:
    """Where people and mail servers find the deployment, all on 127.0.0.1; 0 takes a free port."""

    gateway: int = GATEWAY_PORT
    smtp: int = SMTP_PORT
    mailbox: int = MAILBOX_PORT

    @classmethod
    def anywhere(cls) -> "Doors":
        """Free ports."""
        return cls(gateway=0, smtp=0, mailbox=0)

    @classmethod
    def from_environment(cls) -> "Doors":
        """DESKLINE_GATEWAY_PORT, DESKLINE_SMTP_PORT and DESKLINE_MAILBOX_PORT, where they are set."""
        return cls(
            from_environment("DESKLINE_GATEWAY_PORT", GATEWAY_PORT),
            from_environment("DESKLINE_SMTP_PORT", SMTP_PORT),
            from_environment("DESKLINE_MAILBOX_PORT", MAILBOX_PORT),
        )


class Deployment:
    """What each process of the deployment is told; the same after a restart of the same folder."""

    def __init__(self, folder: Path, stack: Stack, doors: Doors, *, trace_sample: float = 0.01) -> None:
        self.folder = folder
        self._kept = Folder(folder)
        self._stack = stack
        self._trace_sample = trace_sample
        self.ports = {
            "gateway": self._kept.port("gateway", doors.gateway),
            "smtp": self._kept.port("smtp", doors.smtp),
            "mailbox": self._kept.port("mailbox", doors.mailbox),
            **{name: self._kept.port(name, 0) for name in _OWNERS},
        }
        self.databases: dict[str, ServiceDatabase] = {}

    @property
    def trace_file(self) -> Path:
        """Spans of all services, one JSON line each."""
        return self.folder / "traces.jsonl"

    @property
    def maildir(self) -> Path:
        """Where the mail that the deployment sends arrives."""
        return self.folder / "mailbox"

    @property
    def gateway_url(self) -> str:
        """The door for people."""
        return f"http://127.0.0.1:{self.ports['gateway']}"

    @property
    def key_encryption_key(self) -> str:
        """What wraps persons' keys: base64 of 32 bytes."""
        return self._secret("key-encryption-key")

    def log(self, process: str) -> Path:
        """Where a process writes its lines."""
        return self.folder / "logs" / f"{process}.log"

    def create_databases(self) -> None:
        """Create each service's database and roles, unless they are there."""
        self.databases = {name: self._stack.create_service_database(name) for name in SERVICES}

    def environment(self, service: str, replica: int = 0) -> dict[str, str]:
        """The whole environment of one process; replicas beyond the first listen on free ports."""
        database = self.databases[service]
        prefix = f"DESKLINE_{service.upper()}"
        port = self.ports[service] if replica == 0 else 0
        shared = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", str(self.folder)),
            "LANG": "C.UTF-8",
            "MALLOC_ARENA_MAX": "2",
            "PYTHONUNBUFFERED": "1",
            "DESKLINE_KAFKA": self._stack.bootstrap,
            "DESKLINE_INSTANCE": f"{service}-{replica}",
            "DESKLINE_KEY_ENCRYPTION_KEY": self.key_encryption_key,
            "DESKLINE_IDENTITY_PUBLIC_KEY": self._public_key(),
            "DESKLINE_TRACE_SAMPLE": str(self._trace_sample),
            "DESKLINE_TRACE_FILE": str(self.trace_file),
            f"{prefix}_DATABASE_URL": database.runtime_url,
            f"{prefix}_MIGRATION_URL": database.owner_url,
            f"{prefix}_HTTP_PORT": str(port),
        }
        return shared | self._own(service, replica)

    def _own(self, service: str, replica: int) -> dict[str, str]:
        if service == "intake":
            return {
                "DESKLINE_INTAKE_SMTP_PORT": str(self.ports["smtp"] if replica == 0 else 0),
                "DESKLINE_INTAKE_OBJECT_STORE": (self.folder / "objects").absolute().as_uri(),
                "DESKLINE_INTAKE_OWN_DOMAINS": OWN_DOMAIN,
            }
        if service == "tickets":
            return {
                "DESKLINE_TICKETS_REPLY_TOKEN_KEY": self._secret("reply-token-key"),
                "DESKLINE_TICKETS_OWN_DOMAINS": OWN_DOMAIN,
            }
        if service == "notify":
            return {
                "DESKLINE_NOTIFY_SMTP_HOST": "127.0.0.1",
                "DESKLINE_NOTIFY_SMTP_PORT": str(self.ports["mailbox"]),
                "DESKLINE_NOTIFY_OWN_DOMAIN": OWN_DOMAIN,
            }
        if service == "gateway":
            return {
                "DESKLINE_GATEWAY_IDENTITY_PRIVATE_KEY": self._private_key(),
                **{
                    f"DESKLINE_GATEWAY_{owner.upper()}_URL": f"http://127.0.0.1:{self.ports[owner]}"
                    for owner in _OWNERS
                },
            }
        return {}

    def _secret(self, name: str) -> str:
        return self._kept.secret(name, lambda: base64.b64encode(secrets.token_bytes(32)).decode())

    def _private_key(self) -> str:
        def make() -> str:
            return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()

        return self._kept.secret("identity-private-key", make)

    def _public_key(self) -> str:
        private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(self._private_key()))
        return base64.b64encode(private.public_key().public_bytes_raw()).decode()
