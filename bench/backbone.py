"""`make bench`: how fast the backbone is here, with its spread; written to docs/benchmarks.md.

A real system with everything on this machine (fsync on): mails of 7 KB in three parts from the SMTP door
to the analysts' tables, to an operator's offer, a running clock and the customer's mailbox; the relay alone;
the memory of each service.
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
from deskline_local.office import FIRST_TEAM, Office, Person
from deskline_local.system import System

RUNS = int(os.environ.get("RUNS", "3"))
MAILS = 1500
CONNECTIONS = 8
CALM_MAILS = 200
CALM_RATE = 20.0
WATCH_SECONDS = 0.01
RELAYED = 20_000
OPERATORS = 20
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


REACHED = {
    "projected": ("analytics", "SELECT count(*) FROM open_tickets"),
    "routed": ("tickets", "SELECT count(*) FROM events WHERE type = 'TicketRouted.v1'"),
    "offered": ("tickets", "SELECT count(*) FROM events WHERE type = 'TicketOffered.v1'"),
    "armed": (
        "sla",
        (
            "SELECT count(*) FROM events WHERE type = 'deskline.sla.ClockStarted.v1'"
            " AND data->>'clock' = 'first_response'"
        ),
    ),
    "told": (
        "notify",
        (
            "SELECT count(*) FROM events WHERE type = 'deskline.notify.NotificationSent.v1'"
            " AND data->>'kind' = 'acknowledgement'"
        ),
    ),
}


def reached(system: System, what: str) -> int:
    """How many tickets came so far."""
    owner, statement = REACHED[what]
    with psycopg.connect(system.deployment.databases[owner].owner_url) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def throughput(system: System) -> tuple[float, dict[str, float]]:
    """(accepted at the door per second, tickets per second from the door to each stage and to all)."""
    before = {what: reached(system, what) for what in REACHED}
    port = system.deployment.ports["smtp"]
    parts = [[mail(n) for n in range(k, MAILS, CONNECTIONS)] for k in range(CONNECTIONS)]
    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(deliver, port, part) for part in parts]:
            done.result()
    accepted = time.perf_counter() - started
    deadline = time.monotonic() + 240
    rates: dict[str, float] = {}
    while len(rates) < len(REACHED):
        for what in REACHED:
            if what not in rates and reached(system, what) >= before[what] + MAILS:
                rates[what] = MAILS / (time.perf_counter() - started)
        if time.monotonic() > deadline:
            missing = {w: reached(system, w) - before[w] for w in REACHED if w not in rates}
            raise SystemExit(f"not all of {MAILS} tickets came: {missing}")
        time.sleep(0.05)
    return MAILS / accepted, rates | {"all of them": min(rates.values())}


def latencies(system: System) -> dict[str, list[float]]:
    """Seconds from the door to the row in the read model and to the offer, at a calm rate."""
    sent: dict[str, float] = {}
    seen: dict[str, dict[str, float]] = {"projected": {}, "offered": {}}
    ended = threading.Event()
    ready = threading.Barrier(len(seen) + 1)
    base = 9_000_000 + int(time.time()) % 90_000 * 10

    def watch(stage: str) -> None:
        with psycopg.connect(
            system.deployment.databases["analytics"].owner_url, autocommit=True
        ) as connection:
            found = seen[stage]
            # By the index on numbers, and not all the time: the question must not be the load.
            row = connection.execute("SELECT coalesce(max(number), 0) FROM open_tickets").fetchone()
            known = 0 if row is None else row[0]
            ready.wait()
            condition = "offer_id IS NOT NULL" if stage == "offered" else "true"
            while not ended.is_set():
                rows = connection.execute(
                    f"SELECT subject FROM open_tickets WHERE number > %s AND {condition}", (known,)
                ).fetchall()
                now = time.perf_counter()
                for (subject,) in rows:
                    found.setdefault(subject, now)
                time.sleep(WATCH_SECONDS)

    watchers = [threading.Thread(target=watch, args=(stage,)) for stage in seen]
    for watcher in watchers:
        watcher.start()
    ready.wait()
    first = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", system.deployment.ports["smtp"], timeout=60) as door:
        for k in range(CALM_MAILS):
            time.sleep(max(0.0, first + k / CALM_RATE - time.perf_counter()))
            sender, content = mail(base + k)
            sent[f"bench {base + k}"] = time.perf_counter()
            door.sendmail(sender, [f"support@{OWN_DOMAIN}"], content)
    deadline = time.monotonic() + 60
    while not all(set(sent) <= set(found) for found in seen.values()):
        if time.monotonic() > deadline:
            raise SystemExit("some mails of the calm run were never projected or offered")
        time.sleep(0.02)
    ended.set()
    for watcher in watchers:
        watcher.join()
    return {stage: sorted(found[one] - at for one, at in sent.items()) for stage, found in seen.items()}


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


def spread(values: list[float]) -> str:
    return f"{min(values):.0f} / {statistics.median(values):.0f} / {max(values):.0f}"


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPORT.parent,
    )
    return done.stdout.strip() or "unknown"


def percentile(values: list[float], share: float) -> float:
    """In milliseconds, of sorted seconds."""
    return 1000 * values[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    figures: dict[str, list[float]] = {}

    def note(what: str, value: float) -> None:
        figures.setdefault(what, []).append(value)

    with (
        tempfile.TemporaryDirectory(prefix="deskline-bench-") as folder,
        System(Path(folder), Doors.anywhere(), progress=say) as system,
    ):
        office = Office(system)
        office.add_line("support")
        people = [
            Person(f"operator {n}", f"0e000000-0000-7000-8000-00000000c0{n:02}", ("operator",), FIRST_TEAM)
            for n in range(OPERATORS)
        ]
        office.set_team(people)
        desks = office.desks(people)
        for run in range(RUNS):
            for desk in desks:
                desk.post("/v1/presence", {"state": "online"})
            door, rates = throughput(system)
            note("mails accepted at the door per second, 8 connections", door)
            for stage, rate in rates.items():
                note(f"tickets per second, SMTP door → {stage}", rate)
            for desk in desks:
                desk.post("/v1/presence", {"state": "online"})
            for stage, calm in latencies(system).items():
                for name, share in (("p50", 0.5), ("p99", 0.99)):
                    note(f"door → {stage} at {CALM_RATE:.0f} mails/s, {name}, ms", percentile(calm, share))
            note("relay alone, events per second", relay_rate(system, run))
            say(f"run {run + 1} of {RUNS}: " + "; ".join(f"{w}: {v[-1]:.0f}" for w, v in figures.items()))
        for desk in desks:
            desk.close()
        office.close()
        memory = {name: system.supervisor.peak_rss(name) / MEBIBYTE for name in SERVICES}
    rows = [
        *((what, spread(values)) for what, values in figures.items()),
        *((f"peak memory of {name}", f"{peak:.0f} MiB") for name, peak in memory.items()),
    ]
    table = "\n".join(f"| {what} | {value} |" for what, value in rows)
    REPORT.write_text(
        "# Benchmarks\n\nWritten by `make bench`: a 7 KB Russian mail of three parts, all services,\n"
        "Kafka and PostgreSQL (fsync on) on one machine, load client and the customers' mailbox included.\n"
        f"Figures are minimum / median / maximum over {RUNS} runs; the machine is shared, so compare only\n"
        "within one table.\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {os.cpu_count()} cores, {platform.machine()},"
        f" Python {platform.python_version()}\n\n| what | figure |\n|---|---|\n{table}\n"
    )
    say(table)


if __name__ == "__main__":
    main()
