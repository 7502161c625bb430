"""The planted bugs: twelve mistakes, each to be caught by the judges, or they are not to be trusted."""

from typing import Final

from tests.chaos.plants import accepting, reading, relaying, timing
from tests.chaos.plants.editing import Plant

PLANTS: Final[dict[str, Plant]] = {
    "relay_by_id": relaying.BY_ID,
    "offset_before_effect": reading.OFFSET_BEFORE_EFFECT,
    "auto_commit": reading.AUTO_COMMIT,
    "no_position_check": reading.NO_POSITION_CHECK,
    "position_outside_transaction": reading.POSITION_OUTSIDE_TRANSACTION,
    "mark_before_publish": relaying.MARK_BEFORE_PUBLISH,
    "no_lease_fencing": relaying.NO_LEASE_FENCING,
    "timer_by_local_clock": timing.LOCAL_CLOCK,
    "age_limit_on_timers": timing.AGE_LIMIT,
    "parked_swallowed": reading.PARKED_SWALLOWED,
    "dedupe_by_message_id": accepting.DEDUPE_BY_MESSAGE_ID,
    "acknowledged_before_commit": accepting.ACKNOWLEDGED_BEFORE_COMMIT,
}


def plant(name: str) -> None:
    """Plant one in this process, before it starts its work; raises PlantWitheredError, KeyError."""
    for edit in PLANTS[name].edits:
        edit.put()
