"""The overlay `small` on a real cluster: the story, and then everything that happens to a deployment."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pytest
from tests.judging.settling import quiet
from tests.judging.visiting import judge
from tests.kubernetes.cluster import say, until
from tests.kubernetes.deployment import ROOT, Deployed
from tests.kubernetes.disturbances import steps
from tests.kubernetes.senders import Senders
from tests.traffic import Operator

from deskline_local.deployment import OWN_DOMAIN
from deskline_local.office import FIRST_TEAM, Office, Person

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(3600)]

MAILS: Final = 200
COMMANDS: Final = 20
CALM_SECONDS: Final = 15.0
QUIET_SECONDS: Final = 240.0
SHIFT_SECONDS: Final = 1.0
PERSON: Final = Person("operator", "0e000000-0000-7000-8000-00000000d001", ("operator",), FIRST_TEAM)
# A mail goes out again when its sender, its database or who took it is killed before it is noted; so
# many at a time are on their way.
REPEATS: Final = 4 * 32


@dataclass(frozen=True)
class Taken:
    """A step, and when it was."""

    name: str
    began: float
    ended: float


def test_story_is_told_by_the_cluster(deployed: Deployed) -> None:
    say("the end-to-end story")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-m", "anywhere", "tests/e2e/test_story.py"],
        cwd=ROOT,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0


def test_nothing_is_lost_or_doubled_whatever_happens(deployed: Deployed) -> None:
    site, cluster = deployed.site, deployed.cluster
    cluster.until_all_ready()
    office = Office(site)
    office.add_line("stream")
    office.set_team([PERSON])
    (desk,) = office.desks([PERSON])
    operator = Operator(site.gateway_url, desk.token)
    senders = Senders(site.smtp, f"stream@{OWN_DOMAIN}")
    taken: list[Taken] = []
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        shift = pool.submit(work, operator, ended)
        senders.start()
        try:
            take("nothing happens", lambda: time.sleep(CALM_SECONDS), taken)
            for name, happens in steps(cluster):
                take(name, happens, taken)
        finally:
            ended.set()
            senders.finish()
        shift.result()
    take(
        "until quiet", lambda: until("everything applied and told", lambda: quiet(site), QUIET_SECONDS), taken
    )
    findings = judge(site, senders.accepted, senders.unknown, [operator], repeats=REPEATS)
    office.close()
    operator.close()
    print(f"\n{table(taken, senders)}\n{told(deployed, senders, operator)}\n{findings.table()}", flush=True)
    assert not findings.wrong, findings.table()
    assert len(senders.accepted) >= MAILS
    assert sum(one.status < 300 for one in operator.given) >= COMMANDS
    assert not [pod.name for pod in cluster.pods() if pod.killed_for_memory]


def work(operator: Operator, ended: threading.Event) -> None:
    while not ended.wait(SHIFT_SECONDS):
        operator.work()


def take(name: str, happens: Callable[[], None], taken: list[Taken]) -> None:
    say(name)
    began = time.monotonic()
    happens()
    taken.append(Taken(name, began, time.monotonic()))


def table(taken: list[Taken], senders: Senders) -> str:
    """Gaps: the longest times without a 250, as seen through one `kubectl port-forward`."""
    lines = [f"{'step':32} {'seconds':>8} {'accepted':>9} {'unknown':>8} {'refused':>8} {'longest gap':>12}"]
    for one in taken:
        saw = senders.window(one.began, one.ended)
        lines.append(
            f"{one.name:32} {one.ended - one.began:8.1f} {saw.accepted:9} {saw.unknown:8} {saw.refused:8}"
            f" {saw.gap:10.1f} s"
        )
    return "\n".join(lines)


def told(deployed: Deployed, senders: Senders, operator: Operator) -> str:
    done = sum(one.status < 300 for one in operator.given)
    restarts = {pod.name: pod.restarts for pod in deployed.cluster.pods() if pod.restarts}
    begun = {one.kind: one.begun for one in deployed.forwards}
    return (
        f"{len(senders.accepted)} mails accepted, {len(senders.unknown)} of unknown fate;"
        f" {len(operator.given)} commands, {done} done, {operator.unknown} asked again;"
        f" containers that restarted by themselves: {restarts or 'none'}; forwards begun: {begun}"
    )
