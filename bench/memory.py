"""Memory of each service while mails, forms and commands come for a while, and whether it grows."""

import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench import processor
from bench.company import Company
from bench.stages import Stages
from deskline_local.deployment import SERVICES

MINUTES: Final = float(os.environ.get("MEM_MINUTES", "4"))
RATE: Final = float(os.environ.get("MEM_RATE", "40"))
EVERY_SECONDS: Final = 2.0
PATIENCE: Final = 600.0
MEGABYTE: Final = 1_000_000
HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Grown:
    """A service's peak in MB, and by how much an hour it grew after its first quarter."""

    peak: float
    slope: float


def under_load(company: Company, say: Callable[[str], None]) -> dict[str, Grown]:
    """Half mails, half forms, for so many minutes at so many a second."""
    number = int(MINUTES * 60 * RATE / 2)
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVICES}
    ended = threading.Event()
    sampling = threading.Thread(target=_sample, args=(company, samples, ended))
    with (
        company.mails(number, rate=RATE / 2) as mails,
        company.forms(number, rate=RATE / 2) as forms,
        Stages(company.system) as stages,
    ):
        sampling.start()
        try:
            mails.say("go")
            forms.say("go")
            said = [mails.answer(), forms.answer()]
        finally:
            ended.set()
            sampling.join()
        stages.wait(2 * number, PATIENCE)
    seconds = max(one["ended"] for one in said) - min(one["started"] for one in said)
    say(f"memory: {2 * number} messages in {seconds / 60:.1f} minutes")
    return {
        name: Grown(company.system.supervisor.peak_rss(name) / MEGABYTE, slope(samples[name]))
        for name in SERVICES
    }


def _sample(company: Company, samples: dict[str, list[tuple[float, float]]], ended: threading.Event) -> None:
    roots = {name: pid for name, pid in company.processes.items() if name in samples}
    while not ended.wait(EVERY_SECONDS):
        for name, size in processor.resident(roots).items():
            samples[name].append((time.monotonic(), size / MEGABYTE))


def slope(samples: list[tuple[float, float]]) -> float:
    """MB an hour, by the straight line through all but the first quarter; 0 where there are too few."""
    steady = samples[len(samples) // 4 :]
    if len(steady) < 3:
        return 0.0
    times, sizes = zip(*steady, strict=True)
    return statistics.linear_regression(times, sizes).slope * HOUR
