"""The means of disturbance do what they say to a running system, and it is whole afterwards."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from random import Random

import pytest
from tests.chaos.faults import group, records, servers
from tests.chaos.faults.crash_points import killed_at
from tests.chaos.faults.links import Links
from tests.chaos.watch import Watch
from tests.judging import everything, poison
from tests.judging.poison import Poison
from tests.judging.settling import READS, quiet
from tests.traffic import Customers, until
from tests.witness import rows

from deskline_local import kafka_wire
from deskline_local.deployment import SERVICES
from deskline_local.office import Office
from deskline_local.ports import HOST
from deskline_local.supervisor import Supervisor

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

PERSONS = 1000
IMPATIENT_SECONDS = 1
HEAL_SECONDS = 60.0
PARK_SECONDS = 30.0
INTAKE, TICKETS = "deskline.intake.events", "deskline.tickets.events"
ROUNDS = (
    {
        "intake": "accept-commit",
        "tickets": "effect-commit",
        "routing": "commit-offset",
        "notify": "told-commit",
        "sla": "fire-commit",
        "analytics": "effect-commit",
    },
    {"intake": "commit-publish", "tickets": "publish-mark"},
)


@dataclass
class Scene:
    """A system whose links are proxied, with a line whose clocks end at once, and customers."""

    links: Links
    customers: Customers
    planted: list[Poison] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def write(self, mails: int = 1) -> None:
        for _ in range(mails):
            self.customers.deliver(next(self.numbers))

    def settle(self) -> None:
        until("everything applied and told", lambda: quiet(self.links.system), HEAL_SECONDS)

    def killed(self, service: str, point: str) -> int:
        return killed_at(self.links.system.deployment.log(service))[point]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Links.open(tmp_path_factory.mktemp("faults") / "system") as links:
        links.start()
        office = Office(links.system)
        office.set_team([])
        office.set_policy(office.add_line("support"), IMPATIENT_SECONDS, actions=())
        made = Scene(links, Customers(links.system.smtp[1], PERSONS))
        made.write(5)
        made.settle()
        yield made
        office.close()


def test_every_link_goes_through_its_proxy(scene: Scene) -> None:
    idle = [link for link, proxy in scene.links.all().items() if proxy.forwarded == 0]
    assert idle == []
    system = scene.links.system
    direct = {
        system.bootstrap,
        system.stack.database_url().rpartition("@")[2].partition("/")[0],
        *(f"{HOST}:{port}" for name, port in system.deployment.ports.items() if name != "smtp"),
    }
    for service in SERVICES:
        told = scene.links.environment(service, 0, system.deployment.environment(service))
        assert not [name for name, value in told.items() if any(one in value for one in direct)], service


def test_half_open_and_cut_links_are_survived(scene: Scene) -> None:
    proxies = scene.links.all()
    before = proxies["tickets", "kafka"].resets
    for link in (("tickets", "kafka"), ("sla", "postgres"), ("notify", "mailbox")):
        proxies[link].half_open()
    scene.write(5)
    for link in (("tickets", "kafka"), ("sla", "postgres")):
        proxies[link].cut()
    proxies["analytics", "postgres"].cut_in_frame(2000)
    proxies["intake", "kafka"].delay(0.1)
    scene.write(5)
    assert not quiet(scene.links.system)
    until("cut amid a frame", lambda: proxies["analytics", "postgres"].resets > 0, 30)
    scene.links.heal()
    scene.settle()
    assert proxies["tickets", "kafka"].resets > before


@pytest.mark.parametrize("points", ROUNDS, ids=lambda points: "+".join(sorted(set(points.values()))))
def test_services_die_at_their_crash_points(scene: Scene, points: dict[str, str]) -> None:
    supervisor = scene.links.system.supervisor
    pids = {}
    for service, point in points.items():
        scene.links.arm(service, f"{point}:2-4")
        pids[service] = supervisor.kill(service)
    for service, dead in pids.items():
        assert supervisor.wait_for(partial(is_new, supervisor, service, dead), 30)
    # One life each is enough, and services that die again and again get little done.
    scene.links.disarm()
    deadline = time.monotonic() + 90
    while missing := [one for one in points.items() if scene.killed(*one) == 0]:
        assert time.monotonic() < deadline, f"never passed: {missing}"
        scene.write()
    scene.settle()
    assert {one: scene.killed(*one) for one in points.items()} == dict.fromkeys(points.items(), 1)


def is_new(supervisor: Supervisor, name: str, dead: int) -> bool:
    return supervisor.pid(name) not in {None, dead}


def test_storm_of_strangers_rebalances_the_group(scene: Scene) -> None:
    log = scene.links.system.deployment.log("tickets")
    before = group.rebalances_seen(log)
    caused = group.storm(scene.links.system.bootstrap, "deskline.tickets", [INTAKE], 4)
    assert caused.joined >= 2
    assert caused.rebalances >= 2
    assert group.rebalances_seen(log) > before
    scene.write(3)
    scene.settle()


def test_records_come_again_and_from_the_future(scene: Scene) -> None:
    system = scene.links.system
    own = len(everything.read_topics(system, scene.planted)["tickets"])
    assert asyncio.run(records.repeat_records(system.bootstrap, [TICKETS])) == own
    assert asyncio.run(records.shuffle_streams(system.bootstrap, [TICKETS], Random(7), last=10)) <= 60
    planted = [asyncio.run(records.plant_future(system.bootstrap, topic)) for topic in (INTAKE, TICKETS)]
    parked = [one for future in planted for one in future.parked]
    ignored = [stream for future in planted for stream in future.streams]

    def all_parked() -> bool:
        return all(
            {one.place for one in parked if one.topic.split(".")[1] in owners}
            == {one.place for one in poison.parked_by(system.owner_url(reader))}
            for reader, owners in READS.items()
        )

    until("the future parked, and nothing else", all_parked, PARK_SECONDS)
    passed = "SELECT count(*) FROM reader_streams WHERE subject::text = ANY(ARRAY[{}]) AND NOT parked"
    named = ", ".join(f"'{stream}'" for stream in ignored)
    assert len(ignored) == 3
    until(
        "what may be passed over is passed",
        lambda: rows(system.owner_url("analytics"), passed.format(named)) == [(3,)],
        PARK_SECONDS,
    )
    for one in parked:
        cause = {kept.place: kept.cause for kept in poison.parked_by(system.owner_url("analytics"))}[
            one.place
        ]
        assert cause.startswith(one.cause)
    scene.planted += [one for future in planted for one in future.all]
    scene.settle()


def test_watch_tells_how_much_is_unread(scene: Scene) -> None:
    watch = Watch(scene.links.system, {})
    until("all is read", lambda: watch.unread() == 0, HEAL_SECONDS)
    scene.links.all()["analytics", "kafka"].half_open()
    scene.write(5)
    until("analytics does not read", lambda: (watch.unread() or 0) >= 5, HEAL_SECONDS)
    scene.links.heal()
    until("all is read again", lambda: watch.unread() == 0, HEAL_SECONDS)
    scene.settle()


def test_servers_are_stopped_killed_and_wiped(scene: Scene) -> None:
    system = scene.links.system
    _, _, port = system.bootstrap.partition(":")
    began = datetime.now(UTC)
    with servers.frozen(system.stack.kafka):
        assert kafka_wire.cluster_id(HOST, int(port), 0.5) is None
    before = kafka_wire.cluster_id(HOST, int(port))
    assert before is not None
    dead = servers.kill_everything(system)
    assert dead.keys() == set(SERVICES)
    assert rows(system.stack.database_url(), "SELECT pg_postmaster_start_time()")[0][0] > began
    assert kafka_wire.cluster_id(HOST, int(port)) == before
    servers.wipe_kafka(system.stack)
    assert kafka_wire.cluster_id(HOST, int(port)) not in {before, None}
    # What was planted is gone with the broker's data, and what was written is announced anew.
    scene.planted.clear()
    scene.write(3)
    findings, _ = everything.at_rest(system, [], HEAL_SECONDS, lambda _findings, _topics: None)
    wrong = {promise: ids for promise, ids in findings.wrong.items() if promise != "I5 streams"}
    assert not wrong, findings.table()
