"""Notify, wired."""

import hmac
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import cast
from zoneinfo import ZoneInfo

from deskline_chassis.loops import Run
from deskline_chassis.serving import Serving, ServingParts
from deskline_notify.adapters.smtp import Provider, SmtpConnection
from deskline_notify.adapters.waker import Waker
from deskline_notify.api.routes import add_routes
from deskline_notify.channels.email import EmailChannel
from deskline_notify.channels.errands import Sending
from deskline_notify.consumer import READER, reader_of
from deskline_notify.handlers.telling import Telling
from deskline_notify.handlers.writing import House
from deskline_notify.settings import NotifySettings
from deskline_notify.timers import sweep


class Notify:
    """What notify is made of beside the parts of every service."""

    def __init__(self, parts: ServingParts) -> None:
        self.parts = parts
        self.settings = cast("NotifySettings", parts.settings)
        self.waker = Waker()

    @cached_property
    def telling(self) -> Telling:
        """What is told, and since when."""
        since = self.settings.active_since or datetime.now(UTC)
        return Telling(READER, self.parts.keys, self.settings.own_domain, since)

    @cached_property
    def house(self) -> House:
        """What our mails say of us."""
        found = self.settings
        tag_key = hmac.digest(found.key_encryption_key_bytes, b"deskline.notify.unverified-address", "sha256")
        return House(self.parts.keys, found.own_domain, found.sender, ZoneInfo(found.zone), tag_key)

    @cached_property
    def provider(self) -> Provider:
        """Who takes our mails."""
        found = self.settings
        password = found.smtp_password
        return Provider(
            host=found.smtp_host,
            port=found.smtp_port,
            tls=found.smtp_tls,
            name=found.own_domain,
            timeout=found.smtp_timeout_seconds,
            username=found.smtp_username,
            password=None if password is None else password.get_secret_value(),
            ca_file=found.smtp_ca_file,
        )

    def loops(self) -> dict[str, Run]:
        """Notify's own loops."""
        parts, found = self.parts, self.settings
        email = EmailChannel(
            parts.database,
            parts.log,
            self.house,
            connections=[SmtpConnection(self.provider) for _ in range(found.smtp_connections)],
            waker=self.waker,
            sending=Sending(found.first_retry),
        )
        sweeper = sweep(parts.database, parts.log, self.telling, self.waker)
        return {"email": email.run, "sweeper": sweeper}


@cache
def notify_of(parts: ServingParts) -> Notify:
    """The one that belongs to these parts: its reader wakes its sender."""
    return Notify(parts)


SERVING = Serving(
    routes=lambda parts: add_routes(parts.app, parts.database),
    reader=lambda parts: reader_of(notify_of(parts).telling, notify_of(parts).waker.ring),
    loops=lambda parts: notify_of(parts).loops(),
)
