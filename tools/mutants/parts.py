"""What is mutated: the domain of each service, and what of the chassis does no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Part:
    """A member of the workspace; `mutated` are patterns below its src.

    `only` names, by file, the functions that are mutated in a module that does I/O besides. `left_out` are
    tests that prove a limit by size: they take seconds, and all else says what they say.
    """

    name: str
    folder: Path
    mutated: tuple[str, ...]
    tests: tuple[str, ...] = ("",)
    left_out: tuple[str, ...] = ()
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _service(name: str, *left_out: str) -> Part:
    folder = Path("services") / name
    return Part(name, folder, (f"deskline_{name}/domain/*.py",), left_out=left_out)


# Whole modules whose functions compute from their arguments alone.
_PURE: Final = ("cursors", "decoding", "identity", "requests", "watch")

# Of modules that speak to a database or a broker: the decisions in them. Not here, since each function of
# theirs is a statement in SQL or a wait: inbox, idempotency, relay_state, event_log, deadlines, applying,
# announcing, relay, reader. Those are held by the component tests on real servers, and by the chaos suite.
_DECISIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "sorting.py": ("Sorted.counts", "Sorted.is_parked", "Sorted.park_from", "_stream", "_place"),
    "watermarks.py": ("remember", "known_until"),
    "marking.py": ("Marker.reached",),
    "personal_data.py": ("seal", "unseal", "wrapped_of", "_additional_data"),
}

# Those that need no process, no port and no second.
_CHASSIS_TESTS: Final = (
    "cursors",
    "decoding",
    "identity",
    "known_until",
    "requests",
    "requests_in_full",
    "sealing",
    "sorting",
    "watch",
)

PARTS: Final[dict[str, Part]] = {
    part.name: part
    for part in (
        _service("tickets", "test_tokens.py::test_no_text_breaks_the_verification"),
        _service("sla"),
        _service("routing"),
        _service(
            "intake",
            "test_mail_hostile.py::test_a_million_header_lines_are_cut_and_the_body_found",
            "test_mail_hostile.py::test_a_bomb_ends_with_a_usable_result",
            "test_mail_html.py::test_hostile_markup_ends_with_its_last_words",
            "test_parser_process.py",
            "test_group_commit.py",
            "test_deliveries.py",
        ),
        _service("notify", "test_mails.py::test_a_written_mail_leaves_nothing_to_the_cyclic_collector"),
        _service("analytics"),
        _service("gateway"),
        Part(
            "chassis",
            Path("shared/chassis"),
            tuple(f"deskline_chassis/{name}" for name in (*(f"{one}.py" for one in _PURE), *_DECISIONS)),
            tests=tuple(f"test_{name}.py" for name in _CHASSIS_TESTS),
            only=_DECISIONS,
        ),
    )
}
