"""What will be done to the system, and when: a pure function of a seed.

A run goes round by round. A round has one heavy fault, which nothing but time heals; then light ones, one
every second or so; then a calm in which everything is to go well. In a mixed round the light faults begin
together with the heavy one. Every kind of fault comes within a cycle of rounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

# What is done to all at once, or to what all need.
HEAVY = (
    "postgres killed",
    "kafka killed",
    "everything killed",
    "postgres stopped",
    "kafka stopped",
    "kafka wiped",
    "kafka set back",
    "leader stopped",
    "rebalance storm",
)
LINKS = ("link cut", "link half open", "link delayed", "link cut in frame")
RARE = ("poison", "future", "records repeated", "service stopped")
KINDS = (*HEAVY, *LINKS, *RARE, "crash point", "service killed")
CYCLE = len(HEAVY)
"""Rounds in which each heavy fault comes once."""

CRASHES, KILLS, CUTS, ODD = 4, 6, 2, 2
"""Of a round's light faults: services killed at a crash point and by signal, links, and the rare ones."""

GAP_SECONDS = (0.4, 1.0)
CALM_SECONDS = 8.0
PAST_THE_LEASE = 12.0
"""A leader's lease is 10 s."""

LASTING = {
    "postgres stopped": (3.0, 6.0),
    "kafka stopped": (3.0, 6.0),
    "kafka set back": (4.0, 8.0),
    "leader stopped": (PAST_THE_LEASE, PAST_THE_LEASE + 2),
    "rebalance storm": (6.0, 9.0),
    "service stopped": (1.0, 4.0),
    "link cut": (1.0, 4.0),
    "link half open": (1.0, 4.0),
    "link delayed": (2.0, 5.0),
    "link cut in frame": (2.0, 5.0),
}


@dataclass(frozen=True)
class Field:
    """What there is to be disturbed; links are (service, what it calls), points (service, crash point)."""

    processes: Sequence[str]
    links: Sequence[tuple[str, str]]
    points: Sequence[tuple[str, str]]
    owners: Sequence[str]
    readers: Sequence[str]


@dataclass(frozen=True)
class Step:
    """One fault: what is done to whom, for how long, and how long after the step before it."""

    kind: str
    target: tuple[str, ...] = ()
    seconds: float = 0.0
    after: float = 0.0

    @property
    def deaths(self) -> int:
        """How many processes it kills, counting one of those that it kills all."""
        return (self.kind.endswith((" killed", " wiped", " set back")) or self.kind == "crash point") + (
            self.kind == "crash point"
        )

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return " ".join([self.kind, *self.target]) + lasting


@dataclass(frozen=True)
class Round:
    """A heavy fault; light ones, which do not wait for it to be over where the round is mixed; a calm."""

    number: int
    heavy: Step
    light: tuple[Step, ...]
    mixed: bool
    calm: float = CALM_SECONDS

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.heavy, *self.light


class _Deck(Generic[T]):
    """Draws every card once before any comes again, so that nothing is left out for long."""

    def __init__(self, chance: Random, cards: Sequence[T]) -> None:
        self._chance = chance
        self._cards = list(cards)
        self._left: list[T] = []

    def draw(self) -> T:
        if not self._left:
            self._left = self._chance.sample(self._cards, len(self._cards))
        return self._left.pop()


class _Decks:
    def __init__(self, chance: Random, field: Field) -> None:
        self._chance = chance
        self.heavy = _Deck(chance, HEAVY)
        self._cuts = _Deck(chance, LINKS)
        self._rare = _Deck(chance, RARE)
        self._points = _Deck(chance, field.points)
        self._links = _Deck(chance, field.links)
        self._processes = _Deck(chance, field.processes)
        self._owners = _Deck(chance, field.owners)
        self._readers = _Deck(chance, field.readers)

    def kinds(self) -> list[str]:
        """The light faults of a round, in no order yet."""
        return [
            *["crash point"] * CRASHES,
            *["service killed"] * KILLS,
            *(self._cuts.draw() for _ in range(CUTS)),
            *(self._rare.draw() for _ in range(ODD)),
        ]

    def step(self, kind: str, after: float = 0.0) -> Step:
        """A fault of this kind, done to whose turn it is."""
        low, high = LASTING.get(kind, (0.0, 0.0))
        return Step(kind, self._target(kind), round(self._chance.uniform(low, high), 1), after)

    def _target(self, kind: str) -> tuple[str, ...]:
        if kind == "crash point":
            return self._points.draw()
        if kind in LINKS:
            return self._links.draw()
        if kind in {"service killed", "service stopped"}:
            return (self._processes.draw(),)
        if kind == "leader stopped":
            return (self._owners.draw(),)
        if kind == "rebalance storm":
            return (self._readers.draw(),)
        return ()


def rounds(seed: int, field: Field) -> Iterator[Round]:
    """Without end; the heavy faults come in another order in each cycle."""
    chance = Random(seed)
    decks = _Decks(chance, field)
    for number in count():
        kinds = decks.kinds()
        chance.shuffle(kinds)
        light = tuple(decks.step(kind, round(chance.uniform(*GAP_SECONDS), 2)) for kind in kinds)
        yield Round(number, decks.step(decks.heavy.draw()), light, mixed=number % 3 != 0)
