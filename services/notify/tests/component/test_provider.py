"""The connection to a provider: encrypted, signed in, and refused where the provider is not who it says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deskline_notify.adapters.smtp import Provider, SmtpConnection
from deskline_notify.ports import Outgoing, ProviderAwayError, RefusedError

pytestmark = pytest.mark.component

MAIL = Outgoing("", "ivan@client.example", b"Subject: x\r\n\r\n.dot\r\n")


class Certified:
    """A certificate for 127.0.0.1 that only itself vouches for."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.file, key_file = folder / "certificate.pem", folder / "key.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(self.file, key_file)


class Box:
    def __init__(self) -> None:
        self.contents: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        self.contents.append(envelope.content)
        return "250 OK"


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path)


@asynccontextmanager
async def listening(box: Box, *, direct: ssl.SSLContext | None = None, **given: Any) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(SMTP(box, hostname="post", loop=loop, **given))
        return sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0, ssl=direct)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in sessions:
            if isinstance(one.transport, asyncio.Transport):
                one.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await work()

    asyncio.run(whole())


@pytest.mark.parametrize("mode", ["tls", "starttls"])
def test_mails_go_over_an_encrypted_connection_that_is_kept(certified: Certified, mode: Any) -> None:
    box = Box()

    async def work() -> None:
        given: dict[str, Any] = (
            {"direct": certified.context}
            if mode == "tls"
            else {"tls_context": certified.context, "require_starttls": True}
        )
        async with listening(box, **given) as port:
            provider = Provider("127.0.0.1", port, mode, "desk.example", 5, ca_file=certified.file)
            connection = SmtpConnection(provider)
            await connection.send(MAIL)
            await connection.send(MAIL)
            await connection.close()

    run(work)
    assert box.contents == [MAIL.content] * 2


@pytest.mark.parametrize("mode", ["tls", "starttls"])
def test_a_provider_that_nobody_vouches_for_gets_nothing(certified: Certified, mode: Any) -> None:
    box = Box()

    async def work() -> None:
        given: dict[str, Any] = (
            {"direct": certified.context} if mode == "tls" else {"tls_context": certified.context}
        )
        async with listening(box, **given) as port:
            connection = SmtpConnection(Provider("127.0.0.1", port, mode, "desk.example", 5))
            with pytest.raises(ProviderAwayError):
                await connection.send(MAIL)

    run(work)
    assert box.contents == []


def test_a_provider_without_starttls_gets_nothing() -> None:
    box = Box()

    async def work() -> None:
        async with listening(box) as port:
            connection = SmtpConnection(Provider("127.0.0.1", port, "starttls", "desk.example", 5))
            with pytest.raises(ProviderAwayError):
                await connection.send(MAIL)

    run(work)
    assert box.contents == []


@pytest.mark.parametrize(("password", "sent"), [("right", 1), ("wrong", 0)])
def test_a_wrong_password_is_the_providers_absence_and_no_mails_fault(
    certified: Certified, password: str, sent: int
) -> None:
    box = Box()

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: Any, data: Any) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    async def work() -> None:
        async with listening(
            box, tls_context=certified.context, auth_required=True, authenticator=authenticate
        ) as port:
            provider = Provider(
                "127.0.0.1", port, "starttls", "desk.example", 5, "me", password, certified.file
            )
            connection = SmtpConnection(provider)
            if sent:
                await connection.send(MAIL)
                await connection.close()
                return
            with pytest.raises(ProviderAwayError, match="smtp_535"):
                await connection.send(MAIL)

    run(work)
    assert len(box.contents) == sent


def test_a_password_that_is_missing_is_no_mails_fault(certified: Certified) -> None:
    async def work() -> None:
        async with listening(Box(), tls_context=certified.context, auth_required=True) as port:
            provider = Provider("127.0.0.1", port, "starttls", "desk.example", 5, ca_file=certified.file)
            connection = SmtpConnection(provider)
            with pytest.raises(ProviderAwayError, match="smtp_530"):
                await connection.send(MAIL)
            await connection.close()

    run(work)


@pytest.mark.parametrize("pipelined", [False, True])
def test_one_refused_recipient_is_not_anothers_business(*, pipelined: bool) -> None:
    class Picky(Box):
        async def handle_EHLO(  # noqa: N802 -- aiosmtpd's name
            self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
        ) -> list[str]:
            session.host_name = hostname
            return [*responses[:-1], "250-PIPELINING", responses[-1]] if pipelined else responses

        async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
            self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
        ) -> str:
            if address.startswith("gone"):
                return "550 gone"
            envelope.rcpt_tos.append(address)
            return "250 OK"

    box = Picky()

    async def work() -> None:
        async with listening(box) as port:
            connection = SmtpConnection(Provider("127.0.0.1", port, "none", "desk.example", 5))
            await connection.send(MAIL)
            with pytest.raises(RefusedError):
                await connection.send(Outgoing("", "gone@client.example", MAIL.content))
            await connection.send(MAIL)
            await connection.close()

    run(work)
    assert box.contents == [MAIL.content] * 2
