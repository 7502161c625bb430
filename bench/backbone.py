"""`make bench`: how fast the backbone is here, with its spread; written to docs/benchmarks.md.

A real system with everything on this machine (fsync on): mails of 7 KB in three parts from the SMTP door
to the analysts' tables, the relay alone, and the memory of each service.
"""

import asyncio
import os
import platform
import smtplib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from uuid import uuid4

import psycopg

from deskline_chassis.bell import Bell
from deskline_chassis.broker import Broker
from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.migrate import migrate
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_chassis.relay import Relay
from deskline_chassis.runtime import Beat
from deskline_events.intake import ContactRegistered
from deskline_local.deployment import OWN_DOMAIN, SERVICES, Doors
from deskline_local.system import System

RUNS = int(os.environ.get("RUNS", "3"))
MAILS = 1500
CONNECTIONS = 8
CALM_MAILS = 200
CALM_RATE = 20.0
RELAYED = 20_000
MEBIBYTE = 1024 * 1024
REPORT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def mail(number: int) -> tuple[str, bytes]:
    """A 7 KB Russian mail of three parts."""
    sender = f"person{number}@client{number % 50}.example"
    content = EmailMessage(policy=SMTP)
    content["From"] = f"Клиент {number} <{sender}>"
    content["To"] = f"support@{OWN_DOMAIN}"
    content["Subject"] = f"bench {number}"
    content["Message-ID"] = f"<{number}-{uuid4()}@client.example>"
    text = f"Здравствуйте, у нас не работает касса номер {number}. " * 12
    content.set_content(text, cte="base64")
    content.add_alternative(f"<html><body><p>{text}</p></body></html>", subtype="html", cte="base64")
    content.add_attachment(os.urandom(1500), maintype="image", subtype="png", filename="снимок.png")
    return sender, content.as_bytes(policy=SMTP)


def deliver(port: int, mails: list[tuple[str, bytes]]) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as door:
        for sender, content in mails:
            door.sendmail(sender, [f"support@{OWN_DOMAIN}"], content)


def projected(system: System) -> int:
    with psycopg.connect(system.deployment.databases["analytics"].owner_url) as connection:
        row = connection.execute("SELECT count(*) FROM open_tickets").fetchone()
    assert row is not None
    return int(row[0])


def throughput(system: System) -> tuple[float, float]:
    """(accepted at the door per second, tickets per second from the door to projected)."""
    before = projected(system)
    port = system.deployment.ports["smtp"]
    parts = [[mail(n) for n in range(k, MAILS, CONNECTIONS)] for k in range(CONNECTIONS)]
    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(deliver, port, part) for part in parts]:
            done.result()
    accepted = time.perf_counter() - started
    deadline = time.monotonic() + 120
    while projected(system) < before + MAILS:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {projected(system) - before} of {MAILS} tickets were projected")
        time.sleep(0.02)
    return MAILS / accepted, MAILS / (time.perf_counter() - started)


def latencies(system: System) -> list[float]:
    """Seconds from the first byte at the door to the row in the read model, at a calm rate."""
    sent: dict[str, float] = {}
    seen: dict[str, float] = {}
    ended = threading.Event()

    def watch() -> None:
        with psycopg.connect(
            system.deployment.databases["analytics"].owner_url, autocommit=True
        ) as connection:
            while not ended.is_set():
                rows = connection.execute(
                    "SELECT subject FROM open_tickets"
                    " WHERE subject LIKE 'bench 9%%' AND NOT subject = ANY(%s)",
                    (list(seen),),
                ).fetchall()
                now = time.perf_counter()
                seen.update({subject: now for (subject,) in rows})
                time.sleep(0.003)

    watcher = threading.Thread(target=watch)
    watcher.start()
    first = time.perf_counter()
    base = 9_000_000 + int(time.time()) % 90_000 * 10
    with smtplib.SMTP("127.0.0.1", system.deployment.ports["smtp"], timeout=60) as door:
        for k in range(CALM_MAILS):
            time.sleep(max(0.0, first + k / CALM_RATE - time.perf_counter()))
            sender, content = mail(base + k)
            sent[f"bench {base + k}"] = time.perf_counter()
            door.sendmail(sender, [f"support@{OWN_DOMAIN}"], content)
    deadline = time.monotonic() + 30
    while not set(sent) <= set(seen):
        if time.monotonic() > deadline:
            raise SystemExit("some mails of the calm run were never projected")
        time.sleep(0.02)
    ended.set()
    watcher.join()
    return [seen[subject] - at for subject, at in sent.items()]


def relay_rate(system: System, run: int) -> float:
    """Events per second of the relay alone, idempotent, personal fields sealed in the store."""
    place = system.stack.create_service_database("intake", f"bench_relay_{run}")
    migrate(place.owner_url, "deskline_events", f"{place.name}_runtime", f"{place.name}_readonly")
    ring, database = KeyRing(os.urandom(32)), Database(place.runtime_url, "bench")
    database.open()
    log = EventLog("intake", ring)
    for _ in range(RELAYED // 500):
        with database.transaction() as connection:
            log.lock(connection)
            people = [uuid4() for _ in range(500)]
            ring.register(connection, people)
            log.append(
                connection,
                [
                    NewEvent(
                        one,
                        ContactRegistered(
                            contact_id=one, address=f"{one}@x.example", name="Имя", locale="ru"
                        ),
                        Cause(uuid4()),
                    )
                    for one in people
                ],
            )

    async def drain() -> float:
        stop, bell = asyncio.Event(), Bell(place.runtime_url, "bench-bell")
        relay = Relay("intake", place.runtime_url, Broker(system.stack.bootstrap, f"bench{run}."), bell)
        running = asyncio.create_task(relay.run(Beat(), stop))
        started: float | None = None
        with psycopg.connect(place.owner_url, autocommit=True) as connection:
            while True:
                row = connection.execute("SELECT position FROM relay").fetchone()
                position = 0 if row is None else int(row[0])
                if started is None and position > 0:
                    started, begun = time.perf_counter(), position
                if position >= RELAYED:
                    break
                await asyncio.sleep(0.005)
        assert started is not None
        rate = (RELAYED - begun) / (time.perf_counter() - started)
        stop.set()
        await running
        return rate

    rate = asyncio.run(drain())
    database.close()
    return rate


def spread(values: list[float], unit: str = "") -> str:
    return f"{min(values):.0f} / {statistics.median(values):.0f} / {max(values):.0f}{unit}"


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPORT.parent,
    )
    return done.stdout.strip() or "unknown"


def main() -> None:
    doors: list[float] = []
    rates: list[float] = []
    p50: list[float] = []
    p99: list[float] = []
    relayed: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="deskline-bench-") as folder,
        System(Path(folder), Doors(gateway=0, smtp=0), progress=say) as system,
    ):
        system.command(
            "intake",
            "line",
            "add",
            "--address",
            f"support@{OWN_DOMAIN}",
            "--name",
            "bench",
            "--language",
            "ru",
        )
        for run in range(RUNS):
            door, rate = throughput(system)
            calm = sorted(latencies(system))
            doors.append(door)
            rates.append(rate)
            p50.append(1000 * calm[len(calm) // 2])
            p99.append(1000 * calm[int(len(calm) * 0.99)])
            relayed.append(relay_rate(system, run))
            say(
                f"run {run + 1} of {RUNS}: {rate:.0f} tickets/s, p50 {p50[-1]:.0f} ms, p99 {p99[-1]:.0f} ms,"
                f" relay {relayed[-1]:.0f} events/s"
            )
        memory = {name: system.supervisor.peak_rss(name) / MEBIBYTE for name in SERVICES}
    rows = [
        ("mails accepted at the door per second, 8 connections", spread(doors)),
        ("tickets per second, SMTP door → projected", spread(rates)),
        (f"door → projected at {CALM_RATE:.0f} mails/s, p50", spread(p50, " ms")),
        (f"door → projected at {CALM_RATE:.0f} mails/s, p99", spread(p99, " ms")),
        ("relay alone, events per second", spread(relayed)),
        *((f"peak memory of {name}", f"{peak:.0f} MiB") for name, peak in memory.items()),
    ]
    table = "\n".join(f"| {what} | {value} |" for what, value in rows)
    REPORT.write_text(
        "# Benchmarks\n\nWritten by `make bench`: a 7 KB Russian mail of three parts, all services,\n"
        "Kafka and PostgreSQL (fsync on) on one machine, load client included. Figures are minimum /\n"
        f"median / maximum over {RUNS} runs; the machine is shared, so compare only within one table.\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {os.cpu_count()} cores, {platform.machine()},"
        f" Python {platform.python_version()}\n\n| what | figure |\n|---|---|\n{table}\n"
    )
    say(table)


if __name__ == "__main__":
    main()
