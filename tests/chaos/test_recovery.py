"""Faults end, and thirty seconds later every loop of every service works again, without a hand laid on it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from tests.chaos.recovery.company import Company, Healed
from tests.chaos.recovery.loops import RED_SECONDS, Loop, until
from tests.judging import everything, messages, notifications, records
from tests.judging.everything import Topics
from tests.judging.records import Findings
from tests.judging.settling import OWNERS, READS
from tests.witness import rows

from deskline_local.deployment import SERVICES

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

AWAY_SECONDS = 60.0
SHORTLY_SECONDS = 5.0
QUIET_SECONDS = 90.0
POSTGRES_ENDS = 2
# A probe is asked four times a second, on a machine that does much else.
BLUR_SECONDS = 2.0
TOPIC = "deskline.tickets.events"
# One of each kind, spread so that no service loses two of them.
STOPPED: tuple[Loop, ...] = (
    ("tickets", "relay"),
    ("routing", "consumer"),
    ("sla", "timers"),
    ("intake", "smtp"),
    ("analytics", "http"),
    ("notify", "email"),
)
LOOKED_AT = {
    *("I1 accepted", "I1 source", "I3 order", "I3 store", "I4 complete", "I5 position", "I5 streams"),
    *("I5 once", "I5 answered", "I5 order", "I7 once", "I7 wire"),
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    opened = Company.open(tmp_path_factory.mktemp("recovering"))
    try:
        yield opened
    finally:
        opened.close()


def tell(what: str, company: Company, healed: Healed) -> None:
    took = f"loops {healed.loops:.1f} s, marks {healed.marks:.1f} s, canary {healed.canary:.1f} s"
    print(
        f"\n{what}: healed after {took};"
        f" mails accepted {len(company.customers.accepted)};"
        f" started again by itself {company.restarted}"
    )


def test_a_loop_that_stopped_is_red_in_time_and_green_again_by_itself(company: Company) -> None:
    began = time.monotonic()
    with company.freezing.frozen(STOPPED):
        took = company.loops.until_red(STOPPED, began, RED_SECONDS + BLUR_SECONDS)
        # Nobody else is red for it but who lacks what the stopped one does.
        assert {service for service, _ in company.loops.all_red()} <= {service for service, _ in STOPPED}
    released = time.monotonic()
    healed = company.until_healed(released)
    tell("loops stopped", company, healed)
    print({f"{service}.{loop}": round(seconds, 1) for (service, loop), seconds in took.items()})
    assert not company.restarted


def test_kafka_away_for_a_minute_delays_and_loses_nothing(company: Company) -> None:
    kafka, intake = company.system.stack.kafka, company.system.owner_url("intake")
    stored = "SELECT count(*) FROM raw_messages"
    with company.mail():
        until(lambda: "no mail came", lambda: company.customers.reached(10), 20)
        before, unknown = rows(intake, stored)[0][0], len(company.customers.unknown)
        kafka.kill()
        killed = time.monotonic()
        needing = [(service, "relay") for service in OWNERS] + [(service, "consumer") for service in READS]
        took = company.loops.until_red(needing, killed, RED_SECONDS + BLUR_SECONDS)
        threading.Event().wait(AWAY_SECONDS - (time.monotonic() - killed))
        came = rows(intake, stored)[0][0] - before
        waiting = rows(intake, "SELECT (SELECT max(id) FROM events) - position FROM relay")[0][0]
        assert came > AWAY_SECONDS * 2, f"{came} mails were taken in {AWAY_SECONDS:.0f} s without Kafka"
        assert waiting >= came, f"{waiting} events wait for Kafka, of {came} mails"
        # A mail does not need Kafka to be taken, so nobody was sent away or left in doubt.
        assert len(company.customers.unknown) == unknown
        company.nothing_parked()
        kafka.start()
        healed = company.until_healed(time.monotonic())
    tell("Kafka away", company, healed)
    print(f"{came} mails taken meanwhile; all red after {max(took.values()):.1f} s")
    company.nothing_parked()
    assert not company.restarted


def test_postgres_restarted_under_load_is_found_again(company: Company) -> None:
    with company.mail():
        known = len(company.customers.accepted)
        until(lambda: "no mail came", lambda: company.customers.reached(known + 10), 20)
        company.system.stack.postgres.stop()
        company.system.stack.postgres.start()
        healed = company.until_healed(time.monotonic())
    tell("PostgreSQL restarted", company, healed)
    company.nothing_parked()
    assert not company.restarted


def test_a_deleted_topic_is_made_and_filled_anew_by_its_owner(company: Company) -> None:
    owner = company.system.owner_url("tickets")
    (epoch,) = rows(owner, "SELECT epoch FROM relay")[0]
    with company.mail():
        asyncio.run(delete(company.system.bootstrap, TOPIC))
        healed = company.until_healed(time.monotonic())
    tell("topic deleted", company, healed)
    assert rows(owner, "SELECT epoch FROM relay")[0][0] > epoch
    # It was announced from its beginning, and nobody was told anything twice: the judge says so below.
    first = min(record.sequence for record in records.published(company.system.bootstrap, TOPIC))
    assert first == 1
    company.nothing_parked()
    assert not company.restarted


def test_an_outage_of_everything_is_healed_by_the_servers_return(company: Company) -> None:
    system, restarts = company.system, {}
    with company.mail():
        with ThreadPoolExecutor(len(SERVICES) + 2) as pool:
            ends = [pool.submit(company.kill, service) for service in SERVICES]
            ends += [pool.submit(system.stack.kafka.kill), pool.submit(system.stack.postgres.kill)]
            for one in ends:
                one.result()
        threading.Event().wait(SHORTLY_SECONDS)
        with ThreadPoolExecutor(2) as pool:
            starts = [pool.submit(system.stack.postgres.start), pool.submit(system.stack.kafka.start)]
            for one in starts:
                one.result()
        healed = company.until_healed(time.monotonic())
        restarts = {service: system.supervisor.restarts(service) for service in SERVICES}
    tell("everything killed", company, healed)
    print(f"started by the supervisor: {restarts}")
    assert min(restarts.values()) >= 1
    company.nothing_parked()
    assert not company.restarted


def test_after_all_of_it_nothing_is_lost_or_doubled(company: Company) -> None:
    findings, _ = everything.at_rest(company.system, (), QUIET_SECONDS, partial(judge, company))
    print(findings.table())
    assert not findings.wrong, findings.table()
    assert not LOOKED_AT - set(findings.checked)


def judge(company: Company, findings: Findings, topics: Topics) -> None:
    system, customers = company.system, company.customers
    keys = records.person_keys(system.bootstrap, everything.KEYS, system.key_encryption_key)
    effects = messages.effects_by_mail(topics["tickets"], keys)
    messages.check_effects(findings, customers.accepted, customers.unknown, effects)
    most = notifications.REPEATS_PER_DEATH * company.killed.get("notify", 0)
    # PostgreSQL's end between a mail's way out and its commit repeats it as the service's own does.
    letters, ends = system.letters(), 1 + POSTGRES_ENDS
    notifications.check_notifications(findings, topics["notify"], topics["tickets"], letters, ends * most)


async def delete(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()
