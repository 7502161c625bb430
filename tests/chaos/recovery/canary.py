"""One mail that shows the whole way: which stages it reached, by the stores of those who did the work."""

import asyncio
import json
import smtplib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from aiokafka import AIOKafkaConsumer, TopicPartition
from tests.chaos.recovery.loops import until
from tests.judging.settling import OWNERS
from tests.witness import rows

from deskline_local.deployment import OWN_DOMAIN
from deskline_local.site import Site

Stage = tuple[str, str]
WAY = ("projected", "opened", "routed", "armed", "fired", "told")
STAGES: dict[str, Stage] = {
    "opened": ("tickets", "type LIKE 'TicketOpened.%'"),
    "routed": ("tickets", "type LIKE 'TicketRouted.%'"),
    "armed": ("sla", "type LIKE '%.ClockStarted.%'"),
    # Who is late already at the arrival is not warned any more.
    "fired": ("sla", "(type LIKE '%.SlaWarned.%' OR type LIKE '%.SlaBreached.%')"),
    "told": ("notify", "type LIKE '%.NotificationSent.%' AND data->>'kind' = 'acknowledgement'"),
}


@dataclass
class Canaries:
    """Mails with subjects of their own, each from somebody new."""

    site: Site
    numbers: Iterable[int] = field(default_factory=lambda: count(1))

    def send(self) -> str:
        """The subject of one more that was accepted; raises smtplib's errors and OSError."""
        number = next(iter(self.numbers))
        subject = f"canary-{number}"
        content = (
            f"From: bird{number}@cage.example\r\nTo: support@{OWN_DOMAIN}\r\nSubject: {subject}\r\n"
            f"Message-ID: <{subject}@cage.example>\r\n\r\nIs there air?\r\n"
        )
        with smtplib.SMTP(*self.site.smtp, timeout=10) as door:
            door.sendmail(f"bird{number}@cage.example", [f"support@{OWN_DOMAIN}"], content.encode())
        return subject

    def reached(self, subject: str, wanted: Iterable[str] = WAY) -> dict[str, bool]:
        """Stage → whether the canary came so far."""
        found = rows(
            self.site.owner_url("analytics"),
            f"SELECT ticket_id FROM open_tickets WHERE subject = '{subject}'",
        )
        if not found:
            return dict.fromkeys(wanted, False)
        stream = found[0][0]
        return {"projected": True} | {
            stage: bool(
                rows(
                    self.site.owner_url(owner),
                    f"SELECT 1 FROM events WHERE stream = '{stream}' AND {condition} LIMIT 1",
                )
            )
            for stage, (owner, condition) in STAGES.items()
            if stage in wanted
        }

    def until_arrived(self, since: float, seconds: float, wanted: Iterable[str] = WAY) -> float:
        """Seconds since a moment until a canary sent now, as often as it takes, had gone the whole way."""
        sent: list[str] = []
        missing = ["accepted"]

        def arrived() -> bool:
            if not sent:
                try:
                    sent.append(self.send())
                except (smtplib.SMTPException, OSError):
                    return False
            missing[:] = [stage for stage, there in self.reached(sent[0], wanted).items() if not there]
            return not missing

        until(lambda: f"the canary was not {missing}", arrived, seconds - (time.monotonic() - since))
        return time.monotonic() - since


def marks(bootstrap: str) -> dict[str, datetime]:
    """Owner → the moment until which its relay said last that everything is announced."""

    async def read() -> dict[str, datetime]:
        places = {TopicPartition(f"deskline.{owner}.watermarks", 0): owner for owner in OWNERS}
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
            consumer.assign(list(places))
            ends = await consumer.end_offsets(list(places))
            found: dict[str, datetime] = {}
            for place, owner in places.items():
                if ends[place] == 0:
                    continue
                consumer.seek(place, ends[place] - 1)
                record = await consumer.getone(place)
                found[owner] = datetime.fromisoformat(json.loads(record.value)["time"])
            return found

    return asyncio.run(read())


def unmarked(bootstrap: str, since: datetime) -> list[str]:
    """Owners whose relay has said nothing of the time after a moment."""
    told = marks(bootstrap)
    return [owner for owner in OWNERS if told.get(owner, datetime.min.replace(tzinfo=UTC)) <= since]
