"""A service whose one effect is a row per person with how often they were told of."""

from collections import Counter
from collections.abc import Sequence

from pydantic_settings import SettingsConfigDict

from deskline_chassis.applying import ReaderSpec, Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.service import Service, command_line
from deskline_chassis.serving import Serving, ServingParts
from deskline_chassis.settings import ServiceSettings
from deskline_events.intake import ContactRegistered

TABLE = """
CREATE TABLE IF NOT EXISTS told (contact_id uuid PRIMARY KEY, times bigint NOT NULL, name text NOT NULL);
COMMENT ON TABLE told IS 'read model: how often each person was told of, and their name';
"""


class CountingSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DESKLINE_TICKETS_")


def reading(_parts: ServingParts) -> ReaderSpec:
    def apply(transaction: Transaction, events: Sequence[Received]) -> None:
        times = Counter(event.envelope.subject for event in events)
        # The name is a personal field: reading it opens it.
        names = {
            event.envelope.subject: event.fact.name or ""
            for event in events
            if isinstance(event.fact, ContactRegistered)
        }
        people = sorted(times)
        transaction.connection.execute(
            "INSERT INTO told (contact_id, times, name)"
            " SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::text[])"
            " ON CONFLICT (contact_id) DO UPDATE"
            " SET times = told.times + excluded.times, name = excluded.name",
            (people, [times[one] for one in people], [names[one] for one in people]),
        )

    return ReaderSpec(
        name="deskline.tickets",
        owners=("intake",),
        key_owners=("intake",),
        types=frozenset({ContactRegistered.TYPE}),
        apply=apply,
    )


SERVICE = Service(
    settings=CountingSettings,
    package="deskline_events",
    serving=lambda: Serving(reader=reading),
    reads=True,
)

if __name__ == "__main__":
    command_line(SERVICE)()
