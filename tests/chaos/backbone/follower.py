"""A small service that follows: reads intake, keeps one row an event with a running fold, announces its own.

A doubled, lost or reordered application shows in the rows, in the counts and in the chain of hashes.
"""

import hashlib
from collections.abc import Sequence
from uuid import UUID, uuid5

from pydantic_settings import SettingsConfigDict

from deskline_chassis.applying import ReaderSpec, Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import NewEvent
from deskline_chassis.service import Service, command_line
from deskline_chassis.serving import Serving, ServingParts
from deskline_chassis.settings import ServiceSettings
from deskline_events.intake import ContactRegistered
from deskline_events.tickets import NoteAdded


class FollowerSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DESKLINE_TICKETS_")


Fold = tuple[int, str]


def reading(parts: ServingParts) -> ReaderSpec:
    def apply(transaction: Transaction, events: Sequence[Received]) -> None:
        connection = transaction.connection
        streams = sorted({one.envelope.subject for one in events})
        folds: dict[UUID, Fold] = dict.fromkeys(streams, (0, ""))
        folds |= {
            stream: (count, chain)
            for stream, count, chain in connection.execute(
                "SELECT stream, count, chain FROM folds WHERE stream = ANY(%s)", (streams,)
            ).fetchall()
        }
        rows: list[tuple[object, ...]] = []
        for one in events:
            assert isinstance(one.fact, ContactRegistered)
            at, (count, chain) = one.envelope, folds[one.envelope.subject]
            chain = hashlib.sha256(f"{chain}|{at.id}|{one.fact.name}".encode()).hexdigest()
            folds[at.subject] = count + 1, chain
            rows.append((at.subject, at.sequence, at.id, count + 1, chain, one.fact.name))
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO applied (stream, sequence, event, count, chain, name)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                rows,
            )
            cursor.executemany(
                "INSERT INTO folds (stream, count, chain) VALUES (%s, %s, %s)"
                " ON CONFLICT (stream) DO UPDATE SET count = excluded.count, chain = excluded.chain",
                [(stream, count, chain) for stream, (count, chain) in folds.items()],
            )
        parts.log.lock(connection)
        parts.log.append(
            connection,
            [
                NewEvent(
                    one.envelope.subject,
                    NoteAdded(note_id=uuid5(one.envelope.id, "note"), operator_id=one.envelope.subject),
                    one.cause,
                )
                for one in events
            ],
        )
        transaction.after_commit.append(parts.log.ring)

    return ReaderSpec(
        name="deskline.tickets",
        owners=("intake",),
        key_owners=("intake",),
        types=frozenset({ContactRegistered.TYPE}),
        apply=apply,
    )


SERVICE = Service(
    settings=FollowerSettings,
    package="deskline_events",
    serving=lambda: Serving(reader=reading),
    reads=True,
    announces=True,
)

if __name__ == "__main__":
    command_line(SERVICE)()
