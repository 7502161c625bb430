#!/usr/bin/env python3
"""Write the secrets that docker-compose.yml asks for: `new_secrets.py .env`; what is there already stays."""

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SERVICES: Final = ("intake", "tickets", "routing", "sla", "notify", "analytics", "gateway")
PRIVATE: Final = "DESKLINE_GATEWAY_IDENTITY_PRIVATE_KEY"
PUBLIC: Final = "DESKLINE_IDENTITY_PUBLIC_KEY"


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _password() -> str:
    return secrets.token_urlsafe(24)


def _public(private: str) -> str:
    pair = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private))
    return base64.b64encode(pair.public_key().public_bytes_raw()).decode()


MADE: Final[dict[str, Callable[[], str]]] = {
    "DESKLINE_POSTGRES_PASSWORD": _password,
    "DESKLINE_KEY_ENCRYPTION_KEY": _key,
    "DESKLINE_TICKETS_REPLY_TOKEN_KEY": _key,
    PRIVATE: _key,  # an Ed25519 private key is any 32 bytes
    **{
        f"DESKLINE_{service.upper()}_{role}_PASSWORD": _password
        for service in SERVICES
        for role in ("OWNER", "RUNTIME", "READONLY")
    },
}


def missing(text: str) -> dict[str, str]:
    """The values that a file of this content lacks; raises ValueError where a key lost its other half."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    there = {name.strip(): value.strip().strip("'\"") for name, value in pairs}
    if there.get(PUBLIC) and not there.get(PRIVATE):
        raise ValueError(f"{PUBLIC} is given without {PRIVATE}: give both or neither")
    new = {name: make() for name, make in MADE.items() if not there.get(name)}
    if not there.get(PUBLIC):
        new[PUBLIC] = _public(new.get(PRIVATE) or there[PRIVATE])
    return new


def main(file: Path) -> int:
    """Append what is missing; the file is its owner's alone."""
    text = file.read_text() if file.exists() else ""
    try:
        new = missing(text)
    except ValueError as error:
        sys.stderr.write(f"{file}: {error}\n")
        return 1
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "a") as written:
        if text and not text.endswith("\n"):
            written.write("\n")
        written.writelines(f"{name}={value}\n" for name, value in new.items())
    sys.stdout.write(f"{file}: {len(new)} secrets written, {len(MADE) + 1 - len(new)} were there\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
