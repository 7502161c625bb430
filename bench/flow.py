"""Rates from a door through all stages, and the processor time that one message takes."""

from dataclasses import dataclass
from typing import Final, Literal

from bench import processor
from bench.company import Company
from bench.stages import STAGES, Stages

PATIENCE: Final = 240.0
Door = Literal["mails", "forms"]


@dataclass(frozen=True, slots=True)
class Flow:
    """What one batch from one door showed; `rates` per stage and in all, `processor` in ms a message."""

    accepted: float
    rates: dict[str, float]
    processor: dict[str, float]
    outside: dict[str, float]
    later: int

    @property
    def rate(self) -> float:
        """Per second, until the slowest stage had the last of them."""
        return self.rates["all of them"]

    @property
    def milliseconds(self) -> float:
        """Of all processes under test together."""
        return sum(self.processor.values())

    def __str__(self) -> str:
        stages = ", ".join(f"{stage} {rate:.0f}" for stage, rate in self.rates.items())
        shares = ", ".join(f"{name} {ms:.2f}" for name, ms in self.processor.items())
        outside = ", ".join(f"{name} {ms:.2f}" for name, ms in self.outside.items())
        return (
            f"per second: accepted {self.accepted:.0f}, {stages}; told to come later {self.later}\n"
            f"  ms of processor each: {self.milliseconds:.2f} = {shares}; outside: {outside}"
        )


def measure(company: Company, door: Door, number: int) -> Flow:
    """Send so many through a door and wait until all of them are through all stages."""
    make = company.mails if door == "mails" else company.forms
    with make(number) as client, Stages(company.system) as stages:
        processes = company.processes
        before = processor.seconds(processes, stages.backends)
        sink_before = company.sink.ask("how many")
        client.say("go")
        sent = client.answer()
        reached = stages.wait(number, PATIENCE)
        after = processor.seconds(processes, stages.backends)
    each = {name: 1000 * (after[name] - before[name]) / number for name in processes}
    rates = {stage: number / (reached[stage] - sent["started"]) for stage in STAGES}
    sink = company.sink.ask("how many")["processor"] - sink_before["processor"]
    return Flow(
        accepted=number / (sent["ended"] - sent["started"]),
        rates=rates | {"all of them": min(rates.values())},
        processor=dict(sorted(each.items(), key=lambda one: -one[1])),
        outside={"load client": 1000 * sent["processor"] / number, "mail sink": 1000 * sink / number},
        later=sent.get("later", 0),
    )


def warm(company: Company, door: Door, number: int) -> None:
    """Let caches fill and the broker's machine compile before anything is measured."""
    measure(company, door, number)
