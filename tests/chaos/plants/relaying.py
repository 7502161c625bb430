"""Mistakes of writers and relays: gaps in the log, marks that come too early, leaders that were replaced."""

from tests.chaos.plants.editing import Edit, Plant

LOG = "deskline_chassis.event_log"
RELAY = "deskline_chassis.relay"
STATE = "deskline_chassis.relay_state"

BY_ID = Plant(
    "ids are not committed in the order in which they are given, and the relay reads `id > last`",
    (
        Edit(
            LOG,
            "EventLog.lock",
            """
            - connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK,))
            + return
            """,
        ),
        # Whoever stamps by the head's row holds it until the commit, which would do what the lock does.
        Edit(
            LOG,
            "EventLog.append",
            """
            - "UPDATE log_head SET last_time = greatest(clock_timestamp(), last_time)"
            - " RETURNING last_time, generation"
            + "SELECT clock_timestamp(), generation FROM log_head"
            """,
        ),
    ),
)

MARK_BEFORE_PUBLISH = Plant(
    "the relay moves its position before the broker has acknowledged what lies below it",
    (
        Edit(
            RELAY,
            "Relay._announce",
            """
            - acknowledged = await announcer.send(events, keys, state)
              await state.advance(
                  events[-1].id if events else state.position,
                  keys[-1].change_id if keys else state.keys_position,
            -     acknowledged,
            +     {},
              )
            + acknowledged = await announcer.send(events, keys, state)
            + await state.advance(state.position, state.keys_position, acknowledged)
            """,
        ),
    ),
)

NO_LEASE_FENCING = Plant(
    "a leader announces and marks what it has in hand, whoever leads by now",
    (
        Edit(
            RELAY,
            "_require_lease",
            """
            - if time.monotonic() - asked_at >= LEASE_SECONDS:
            + if asked_at > time.monotonic():
            """,
        ),
        Edit(
            RELAY,
            "Relay._ping",
            """
            - await connection.execute("SELECT 1")
            + with contextlib.suppress(psycopg.OperationalError):
            +     await connection.execute("SELECT 1")
            """,
        ),
        Edit(
            STATE,
            "RelayState.refresh",
            """
            - if await cursor.fetchone() != (self.term, self.epoch):
            + if await cursor.fetchone() is None:
            """,
        ),
        Edit(
            STATE,
            "RelayState.advance",
            """
            - " WHERE term = %s AND epoch = %s",
            - (position, keys_position, json.dumps(acknowledged), self.term, self.epoch),
            + "",
            + (position, keys_position, json.dumps(acknowledged)),
            """,
        ),
    ),
)
