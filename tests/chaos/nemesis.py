"""Does to the running system what the plan says, notes what happened, and waits for it to heal by itself."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from random import Random

import httpx
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from tests.chaos.crashing import ALIVE_SECONDS, Crashes
from tests.chaos.done import Announced, Done
from tests.chaos.faults import group, records, servers
from tests.chaos.faults.links import Links
from tests.chaos.healing import MUCH, Healing
from tests.chaos.plan import LINKS, PAST_THE_LEASE, Round, Step
from tests.chaos.watch import Watch, seconds_until
from tests.judging import poison
from tests.judging.deadlines import Calm
from tests.judging.records import Findings
from tests.judging.settling import OWNERS, READS
from tests.judging.waiting import until
from tests.witness import rows

HEALED_WITHIN = 30.0
PATIENCE = 120.0
CATCH_UP_SECONDS = 20.0
PASSED_WITHIN, PASSED_PER_SECOND = 30.0, 500.0
RECOVERED = timedelta(seconds=5)
"""After a recovery a deadline may be so late; only what is due later has to fire within 2 s."""

EVENTS = [f"deskline.{owner}.events" for owner in OWNERS]
CUT_AFTER = (200, 20_000)
DELAY_SECONDS = (0.05, 0.4)
INTAKE, TICKETS = "deskline.intake.events", "deskline.tickets.events"
OPENED = "deskline.tickets.TicketOpened.v1"
TAKES_KAFKA = {"kafka killed", "kafka stopped", "kafka wiped", "kafka set back", "everything killed"}
AGAIN = 300
Say = Callable[[str], None]
Calmly = AbstractContextManager[None]


class Nemesis:
    """One round after another; `findings` are of I12, which can be judged only while it happens."""

    def __init__(self, links: Links, watch: Watch, seed: int, say: Say) -> None:
        self.done = Done()
        self.findings = Findings()
        self._links = links
        self._system = links.system
        self._watch = watch
        self._chance = Random(seed)
        self._say = say
        self._crashes = Crashes(links, watch, self._chance)
        self._kafka_is_there = threading.Event()
        self._kafka_is_there.set()
        self._hows: dict[str, Callable[[Step], None]] = {
            "postgres killed": lambda _: self._server_killed("postgres"),
            "kafka killed": lambda _: self._server_killed("kafka"),
            "postgres stopped": lambda step: servers.freeze(self._system.stack.postgres, step.seconds),
            "kafka stopped": lambda step: servers.freeze(self._system.stack.kafka, step.seconds),
            "kafka wiped": lambda _: self._wiped(),
            "kafka set back": self._set_back,
            "everything killed": lambda _: self._everything_killed(),
            "leader stopped": self._leader_stopped,
            "rebalance storm": self._storm,
            "service killed": lambda step: self._crashes.kill(*step.target),
            "service stopped": lambda step: self._crashes.stop(step.target[0], step.seconds),
            "crash point": lambda step: self._crashes.arm(*step.target),
            "poison": lambda _: self._when_kafka_is_there(self._plant),
            "future": lambda _: self._when_kafka_is_there(self._plant_future),
            "records repeated": lambda _: self._when_kafka_is_there(self._repeat),
            **dict.fromkeys(LINKS, self._link),
        }

    def play(
        self, rounds: Iterable[Round], go_on: Callable[[int], bool], calmly: Callable[[], Calmly]
    ) -> None:
        """Rounds for as long as it is to go on; within `calmly` there is no more to do than is healthy."""
        for one in rounds:
            if not go_on(one.number):
                return
            self._disturb(one)
            with calmly():
                self._calm(one.calm)
            self.done.rounds += 1

    def _disturb(self, one: Round) -> None:
        mixed = " and with it" if one.mixed else ""
        self._say(f"round {one.number}: {one.heavy}{mixed}")
        with ThreadPoolExecutor(len(one.steps)) as pool:
            heavy = pool.submit(self._do, one.heavy)
            if not one.mixed:
                heavy.result()
                self._heal(str(one.heavy))
            lasting: list[Future[None]] = [heavy]
            for step in one.light:
                time.sleep(step.after)
                lasting.append(pool.submit(self._do, step))
            for each in lasting:
                each.result()
        self._heal(f"round {one.number}")

    def _calm(self, seconds: float) -> None:
        self._announced_anew()
        caught_up = self._catch_up()
        began = datetime.now(UTC)
        time.sleep(seconds)
        if caught_up:
            self.done.calms.append(Calm(began + RECOVERED, datetime.now(UTC)))

    def _do(self, step: Step) -> None:
        begin = datetime.now(UTC)
        takes_kafka = step.kind in TAKES_KAFKA
        if takes_kafka:
            self._kafka_is_there.clear()
        try:
            self._hows[step.kind](step)
        finally:
            if takes_kafka:
                self._kafka_is_there.set()
        with self.done.guard:
            self.done.counts[step.kind] += 1
        self.done.passed(step, begin)

    def crash_at(self, service: str, point: str, died: Callable[[], bool]) -> None:
        """At a crash point that chance has passed by; and wait until it healed."""
        self._say(f"nobody died at {point}: {service} does now")
        begin = datetime.now(UTC)
        self._crashes.certainly(service, point, died)
        self.done.passed(Step("crash point", (service, point)), begin)
        self._heal(f"crash at {point}")
        self._catch_up()

    def hand_over(self, owner: str) -> None:
        """A lease, where none was: whoever was to take it over was dead, or just asking for it."""
        self._say(f"no lease was handed over: the leader of {owner} is stopped now")
        self._do(Step("leader stopped", (owner,), PAST_THE_LEASE))
        self._heal(f"the leader of {owner} stopped")

    # I12

    def _heal(self, what: str) -> None:
        """Nobody does anything; within 30 s everything is ready and every loop gets on."""
        began = time.monotonic()
        healing = Healing()
        red, late = {"everything": "not asked yet"}, dict[str, str]()
        while (red or healing.still) and time.monotonic() - began < PATIENCE:
            red, standing = self._watch.red(), self._watch.standing()
            if standing is not None:
                healing.look(standing)
            if not late and self._since_the_last_death(began) > HEALED_WITHIN:
                late = red | dict.fromkeys(healing.still, "stands still")
                self._say(f"  not healed: {late}")
            time.sleep(0.5)
        took = self._since_the_last_death(began)
        self.findings.check("I12 in 30 s", took <= HEALED_WITHIN, f"after {what}: {took:.0f} s, {late}")
        healed = not red and not healing.still
        self.findings.check("I12 at all", healed, f"after {what}: {red} {sorted(healing.still)}")
        self.done.healed.append((what, took))
        self._say(f"  healed after {took:.1f} s")

    def _announced_anew(self) -> None:
        """I17: what Kafka lost is announced anew and read at no less than a certain rate."""
        began = time.monotonic()
        much = self._to_announce() or 0
        if much < MUCH:
            return
        self._left("I17 announced", self._to_announce, much)
        announced = time.monotonic() - began
        self._left("I17 read", self._watch.unread, self._watch.unread() or much)
        self.done.announced.append(
            Announced(max(self.done.losses, default=datetime.now(UTC)), datetime.now(UTC), much)
        )
        took = f"in {announced:.1f} s, read {time.monotonic() - began - announced:.1f} s later"
        self._say(f"  announced anew, {much} events of it {took}")

    def _to_announce(self) -> int | None:
        standing = self._watch.standing()
        return None if standing is None else standing.to_announce

    def _left(self, promise: str, left: Callable[[], int | None], much: int) -> None:
        """Until little of so much is left; None stands for a moment at which that can't be told."""
        began = time.monotonic()
        within = PASSED_WITHIN + much / PASSED_PER_SECOND
        rest: int | None = much
        while (rest is None or rest >= MUCH) and time.monotonic() - began < within:
            time.sleep(0.5)
            rest = left()
        in_time = rest is not None and rest < MUCH
        self.findings.check(promise, in_time, f"{rest} of {much} left after {within:.0f} s")

    def _catch_up(self) -> bool:
        """Whether nothing waits since the faults, which takes longer on a machine that has much to do."""
        began = time.monotonic()
        while time.monotonic() - began < CATCH_UP_SECONDS:
            time.sleep(0.5)
            if self._watch.caught_up():
                self._say(f"  all caught up {time.monotonic() - began:.1f} s later")
                return True
        return False

    def _since_the_last_death(self, began: float) -> float:
        """Seconds since the faults ended: a process that was armed may come to its crash point after them."""
        last = max((moments[-1].timestamp() for moments in self._watch.deaths.values() if moments), default=0)
        return min(time.monotonic() - began, time.time() - last)

    # Servers and everything

    def _server_killed(self, name: str) -> None:
        servers.kill(self._system.stack.kafka if name == "kafka" else self._system.stack.postgres)
        self._count_servers(1)

    def _count_servers(self, killed: int) -> None:
        with self.done.guard:
            self.done.server_kills += killed

    def _wiped(self) -> None:
        before, lost = self._epochs_that_can_be_lost(), datetime.now(UTC)
        servers.wipe_kafka(self._system.stack)
        with self.done.guard:
            self.done.losses += [lost, datetime.now(UTC)]
        self._count_servers(1)
        self._judge_raised("kafka wiped", before)

    def _epochs_that_can_be_lost(self) -> dict[str, int]:
        """Each owner has announced something: of a log of nothing a wiped broker has lost nothing."""
        statement = "SELECT position > 0 FROM relay"
        until(
            "tickets come and are announced",
            lambda: all(rows(self._system.owner_url(one), statement)[0][0] for one in self._epochs()),
            PATIENCE,
        )
        return self._epochs()

    def _epochs(self) -> dict[str, int]:
        """Of those whose events come all the time."""
        statement = "SELECT epoch FROM relay"
        return {
            owner: rows(self._system.owner_url(owner), statement)[0][0] for owner in ("intake", "tickets")
        }

    def _judge_raised(self, what: str, before: dict[str, int]) -> None:
        """I17: what the broker lost is noticed by itself, within the time in which everything heals."""
        began, now = time.monotonic(), before
        while time.monotonic() - began < HEALED_WITHIN and any(now[one] == at for one, at in before.items()):
            time.sleep(0.5)
            now = self._epochs()
        for owner, epoch in before.items():
            raised = now[owner] > epoch
            self.findings.check("I17 raised", raised, f"{what}: {owner} still announces in epoch {epoch}")

    def _set_back(self, step: Step) -> None:
        """The broker forgets what it acknowledged within these seconds."""
        before = self._epochs_that_can_be_lost()
        remembered = servers.Remembered(self._system.stack)
        time.sleep(step.seconds)
        remembered.put_back()
        with self.done.guard:
            self.done.losses.append(datetime.now(UTC))
        self._count_servers(1)
        self._judge_raised("kafka set back", before)

    def _everything_killed(self) -> None:
        servers.kill_everything(self._system)
        self._count_servers(2)

    def _leader_stopped(self, step: Step) -> None:
        """Another one leads before the stopped one goes on."""
        (owner,) = step.target
        term = self._watch.terms(owner)
        leader = self._leader_of(owner)
        self._system.supervisor.pause(leader)
        try:
            time.sleep(step.seconds)
            # The other one may be dead at the moment, or have just asked for the lease.
            took = seconds_until(lambda: self._watch.terms(owner) > term, HEALED_WITHIN)
        finally:
            self._system.supervisor.resume(leader)
        with self.done.guard:
            self.done.handed_over += math.isfinite(took)

    def _leader_of(self, owner: str) -> str:
        deadline = time.monotonic() + ALIVE_SECONDS
        while time.monotonic() < deadline:
            for name, port in self._watch.ports.items():
                if name.split("-")[0] == owner and self._leads(port):
                    return name
            time.sleep(0.2)
        raise AssertionError(f"nobody leads the relay of {owner}")

    @staticmethod
    def _leads(port: int) -> bool:
        try:
            told = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=2.0, trust_env=False).text
        except httpx.HTTPError:
            return False
        return "\ndeskline_relay_leader 1" in told

    def _storm(self, step: Step) -> None:
        (reader,) = step.target
        topics = [f"deskline.{owner}.events" for owner in READS[reader]]
        caused = group.storm(self._system.bootstrap, f"deskline.{reader}", topics, step.seconds)
        with self.done.guard:
            self.done.rebalances += caused.rebalances

    # Links and records

    def _link(self, step: Step) -> None:
        service, to = step.target
        proxy = self._links.all()[service, to]
        if step.kind == "link cut":
            proxy.cut()
        elif step.kind == "link half open":
            proxy.half_open()
        elif step.kind == "link delayed":
            proxy.delay(self._chance.uniform(*DELAY_SECONDS))
        else:
            proxy.cut_in_frame(self._chance.randint(*CUT_AFTER))
        time.sleep(step.seconds)
        proxy.heal()

    def _when_kafka_is_there(self, work: Callable[[str], None]) -> None:
        """A broker that dies amid this would leave us not knowing what is on it, and so what to judge."""
        assert self._kafka_is_there.wait(PATIENCE), "the broker never came back"
        deadline = time.monotonic() + ALIVE_SECONDS
        bootstrap = self._system.bootstrap
        while not self._topics_are_there(bootstrap):
            assert time.monotonic() < deadline, "the topics never came back"
            time.sleep(0.5)
        work(bootstrap)

    @staticmethod
    def _topics_are_there(bootstrap: str) -> bool:
        async def ask() -> bool:
            async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
                known: set[str] = await consumer.topics()
                return set(EVENTS) <= known

        try:
            return asyncio.run(ask())
        except (KafkaError, OSError, TimeoutError):
            return False

    def _plant(self, bootstrap: str) -> None:
        """What nobody can read, on every partition of two topics, and a stream that begins badly."""
        planted = [*poison.plant(bootstrap, INTAKE), *poison.plant(bootstrap, TICKETS, broken=OPENED)]
        with self.done.guard:
            self.done.planted += planted

    def _plant_future(self, bootstrap: str) -> None:
        for topic in (INTAKE, TICKETS):
            planted = asyncio.run(records.plant_future(bootstrap, topic)).all
            with self.done.guard:
                self.done.planted += planted

    def _repeat(self, bootstrap: str) -> None:
        """The last of one topic once more, and of another in an order that mixes the streams."""
        same, mixed = self._chance.sample(EVENTS, 2)
        repeated = asyncio.run(records.repeat_records(bootstrap, [same], AGAIN))
        repeated += asyncio.run(records.shuffle_streams(bootstrap, [mixed], self._chance, AGAIN))
        with self.done.guard:
            self.done.repeated += repeated
