"""All judges that need nothing but the system itself, at a moment when nothing is on its way."""

import asyncio
import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from tests import witness
from tests.judging import applying, erasure, offers, poison, read_models, records
from tests.judging.applying import Applied
from tests.judging.poison import Poison
from tests.judging.records import Findings, Json, Published
from tests.judging.settling import OWNERS, READS, quiet
from tests.judging.site import Desk, Site
from tests.judging.waiting import until

Topics = dict[str, list[Published]]
Ends = dict[tuple[str, int], int]
KEYS = "deskline.intake.keys"
SERVICES = ("gateway", "intake", *READS)
TIMES = 6
SHOWN = 500


def read_topics(site: Site, planted: Sequence[Poison]) -> Topics:
    """The owners' own records."""
    return {
        owner: poison.without(records.published(site.bootstrap, f"deskline.{owner}.events"), planted)
        for owner in OWNERS
    }


def ends_of(bootstrap: str) -> Ends:
    """Where the partitions of the events topics end."""

    topics = [f"deskline.{owner}.events" for owner in OWNERS]

    async def ask() -> Ends:
        async with AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap) as consumer:
            partitions = [
                TopicPartition(topic, number)
                for topic in topics
                for number in consumer.partitions_for_topic(topic) or ()
            ]
            assert {place.topic for place in partitions} == set(topics)
            found = await consumer.end_offsets(partitions)
            return {(place.topic, place.partition): end for place, end in found.items()}

    return asyncio.run(ask())


def read_to_the_end(site: Site) -> bool:
    """Whether each reader stands where its topics end: what comes a second time changes nothing else."""
    ends = ends_of(site.bootstrap)
    for reader, owners in READS.items():
        at = Applied.of(site.owner_url(reader), f"deskline.{reader}").positions
        if any(at.get(place, 0) < end for place, end in ends.items() if place[0].split(".")[1] in owners):
            return False
    return True


def at_rest(
    site: Site, planted: Sequence[Poison], seconds: float, judge: Callable[[Findings, Topics], None]
) -> tuple[Findings, Topics]:
    """Judge topics and tables that are of one moment: nothing was announced while they were read."""
    tolerable = {(one.owner, str(one.stream)) for one in planted if not one.cause}
    for _ in range(TIMES):
        until("everything read, applied and told", lambda: quiet(site) and read_to_the_end(site), seconds)
        before, findings = ends_of(site.bootstrap), Findings()
        topics = read_topics(site, planted)
        judge_readers(findings, site, topics, before, tolerable)
        judge(findings, topics)
        if ends_of(site.bootstrap) == before and quiet(site):
            return findings, topics
    raise AssertionError(f"something was announced each of {TIMES} times that everything was read")


def judge_readers(
    findings: Findings, site: Site, topics: Topics, ends: Ends, besides: Collection[tuple[str, str]] = ()
) -> None:
    """I3, I4, I5, I10 and the offers: what is announced and applied; `besides` are (owner, stream) that were
    planted, and that each reader is to have applied as well.
    """
    for owner, found in topics.items():
        records.check_order(findings, found)
        records.check_store(findings, found, site.owner_url(owner))
        for record in found:
            headers = " ".join(record.headers.values())
            findings.check("headers", "client" not in headers and "canary" not in headers, record.id)
    for reader, owners in READS.items():
        read = {owner: topics[owner] for owner in owners}
        of_them = {place: end for place, end in ends.items() if place[0].split(".")[1] in owners}
        applied = Applied.of(site.owner_url(reader), f"deskline.{reader}")
        for stream in besides:
            if stream[0] in owners:
                read_on = applied.streams.get(stream) == 1
                findings.check("I10 read on", read_on, f"{reader} did not apply {stream}")
        applied = applied.without(besides)
        applying.check_positions(findings, reader, applied, read, of_them)
    applying.check_effects_once(findings, topics)
    applying.check_effects_in_order(findings, topics)
    offers.check_routed(findings, topics["tickets"])


def judge_read_models(findings: Findings, site: Site, topics: Topics, desk: Desk) -> None:
    """I8: tables, and what an admin is shown, are what the topics say."""
    tickets = topics["tickets"]
    opened = [event.stream for event in records.facts(tickets, "TicketOpened")]
    # Tables are compared row by row; of many cards some are looked at, from the first to the last.
    opened = opened[:: max(1, len(opened) // SHOWN)]
    read_models.check_shown(findings, tickets, {one: desk.get(f"/v1/tickets/{one}") for one in opened})
    found = desk.get("/v1/operators", limit=100)["items"]
    shown = {one["operator_id"]: one["load"] for one in found}
    read_models.check_routing(findings, tickets, site.owner_url("routing"), shown)
    read_models.check_clocks(findings, topics, site.owner_url("sla"))
    read_models.check_told(findings, topics, site.owner_url("notify"))
    read_models.check_analytics(findings, topics, site.owner_url("analytics"))


def judge_poison(
    findings: Findings,
    site: Site,
    topics: Topics,
    planted: Sequence[Poison],
    deaths: Mapping[str, Sequence[datetime]],
    *,
    losses: Sequence[datetime] = (),
) -> str:
    """I9: by all readers; in words, how it went."""
    parked = {reader: poison.parked_by(site.owner_url(reader)) for reader in READS}
    took: list[float] = []
    behind = 0
    for reader, owners in READS.items():
        theirs = [one for one in planted if one.topic.split(".")[1] in owners]
        took += poison.check_parked(
            findings, reader, theirs, parked[reader], deaths.get(reader, ()), losses=losses
        )
        for owner in owners if reader in topics else ():
            behind += poison.check_flow(
                findings,
                reader,
                [one for one in theirs if one.topic.split(".")[1] == owner],
                read=topics[owner],
                made=topics[reader],
                deaths=deaths.get(reader, ()),
            )
    return (
        f"{len(planted)} poisoned records, parked {len(took)} times, at most {max(took, default=0):.1f} s;"
        f" {behind} effects of records behind them; causes {poison.causes(parked)}"
    )


def judge_erasure(
    findings: Findings, site: Site, topics: Topics, people: Mapping[str, str], words: Sequence[str]
) -> None:
    """I14: nobody has the key of the first of `people`, and nothing that is left opens what is under it."""
    person = next(iter(people))
    urls = {service: site.owner_url(service) for service in SERVICES}
    announced = asyncio.run(witness.read_topic(site.bootstrap, KEYS))
    known = [one for service, url in urls.items() for one in erasure.known_keys(service, url)]
    erasure.check_key_gone(findings, person, announced, known, ("intake", *READS))
    erasure.check_compacted(findings, erasure.configuration_of(site.bootstrap, KEYS))
    wrapped = erasure.wrapped_before(announced, person)
    sealed = [
        one
        for service, url in urls.items()
        for one in erasure.sealed_in_database(service, url, people.keys())
    ]
    for service, url in urls.items():
        standing = erasure.standing_in_database(url, wrapped)
        findings.check("I14 wrapped key", not standing, f"{service}: {standing}")
    for owner, records_of in topics.items():
        for one in records_of:
            findings.check("I14 topics", not any(word.encode() in one.value for word in words), one.id)
            sealed += (found for found in erasure.sealed_in(owner, one.data) if found.subject in people)
    key = base64.b64decode(site.key_encryption_key)
    erasure.check_nothing_opens(findings, key, known, sealed, people)


def spans_of(services: Sequence[str], lines: Sequence[Json]) -> dict[str, int]:
    """How many spans each service wrote."""
    return {service: sum(line["service"] == service for line in lines) for service in services}
