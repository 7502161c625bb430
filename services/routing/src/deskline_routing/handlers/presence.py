"""Heartbeats: most only prolong what is; one that makes somebody available wakes what waits for them."""

from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_routing.domain.office import PresenceState
from deskline_routing.domain.refusals import NotEmployed
from deskline_routing.handlers.sitting import Sitting
from deskline_routing.ports import OpenDesk, Presence


def report_presence(
    open_desk: OpenDesk, operator_id: UUID, state: PresenceState, period: float, cause: Cause
) -> Presence:
    """Take a heartbeat; `period` is how long it lasts, in seconds. Raises NotEmployed.

    Who was set away by routing stays away while their heartbeat merely goes on saying "online": saying
    "away" or "offline" once, as a console does that shows the answer, makes the next "online" count.
    """
    with open_desk() as desk:
        known = desk.beat(operator_id, state, period)
        if known is None and state != "online":
            known = desk.change_presence(operator_id, state, period)
            if known is None:
                raise NotEmployed
        if known is not None:
            return known
    return _come_online(open_desk, operator_id, period, cause)


def _come_online(open_desk: OpenDesk, operator_id: UUID, period: float, cause: Cause) -> Presence:
    with open_desk() as desk:
        desk.lock()
        changed = desk.change_presence(operator_id, "online", period)
        if changed is None:
            raise NotEmployed
        sitting = Sitting(desk, cause)
        sitting.settle((), {}, gained={operator_id})
        sitting.close()
        return changed
