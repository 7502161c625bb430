"""What PostgreSQL holds of a person, found and forgotten; and objects that are still to be removed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_intake.adapters import forms, raw_messages
from deskline_intake.domain.forms import scope_of
from deskline_intake.domain.senders import lane_of
from deskline_intake.ports import StoredMail

HEAD_BYTES: Final = 256 * 1024
AGAIN: Final = timedelta(minutes=10)
"""A reader that was overtaken by an erasure may write an object after it: then they are removed once more."""

# The door tells a sender by the first piece of a mail, of nearly 64 KiB; what is longer may stand in
# another lane than that of the sender who is found in all of its headers.
_ONE_PIECE: Final = 60_000


@dataclass(frozen=True, slots=True)
class Unread:
    """A message that nobody announced yet, and its beginning: all of it up to `HEAD_BYTES`."""

    mail: StoredMail
    head: bytes


def find_person(connection: Conn, contact_id: UUID) -> tuple[datetime | None] | None:
    """When a contact was erased, None inside where they were not; None where there is none."""
    row = connection.execute(
        "SELECT k.erased_at FROM contacts c JOIN person_keys k ON k.subject = c.contact_id"
        " WHERE c.contact_id = %s",
        (contact_id,),
    ).fetchone()
    return None if row is None else (row[0],)


def addresses_of(connection: Conn, contact_id: UUID) -> frozenset[str]:
    """The addresses by which a contact is known."""
    rows = connection.execute(
        "SELECT DISTINCT address FROM identities WHERE contact_id = %s AND address IS NOT NULL", (contact_id,)
    ).fetchall()
    return frozenset(address for (address,) in rows)


def find_unread(
    connection: Conn, addresses: Collection[str], skip: Collection[UUID], limit: int
) -> list[Unread]:
    """Unread messages that may be from one of the addresses, but those to skip; the oldest ones."""
    line_ids = [line_id for (line_id,) in connection.execute("SELECT line_id FROM lines").fetchall()]
    lanes = {lane_of(line_id, address) for line_id in line_ids for address in addresses}
    rows = connection.execute(
        f"SELECT {raw_messages.STORED}, substring(r.raw FROM 1 FOR %s)"
        " FROM raw_messages r JOIN lines l USING (line_id)"
        " WHERE r.state = 'received' AND (r.lane = ANY(%s) OR r.size > %s) AND r.raw_id <> ALL(%s)"
        " ORDER BY r.arrival LIMIT %s",
        (HEAD_BYTES, sorted(lanes), _ONE_PIECE, list(skip), limit),
        binary=True,
    ).fetchall()
    return [Unread(raw_messages.stored_mail(row[:-1], careful=False), row[-1]) for row in rows]


def find_envelopes(connection: Conn, addresses: Collection[str]) -> list[UUID]:
    """Messages, by whomever, that came in an envelope of one of the addresses; it reads the whole table."""
    rows = connection.execute(
        "SELECT raw_id FROM raw_messages WHERE envelope_from = ANY(%s)", (list(addresses),)
    ).fetchall()
    return [raw_id for (raw_id,) in rows]


def find_messages(connection: Conn, contact_id: UUID) -> list[UUID]:
    """Every message of a contact that was announced, and every repeated delivery of one."""
    # A message's announcement has its raw id as its correlation id, in the stream of its sender's identity.
    rows = connection.execute(
        "WITH announced AS (SELECT e.correlation_id AS raw_id FROM identities i"
        "  JOIN events e ON e.stream = i.identity_id WHERE i.contact_id = %s)"
        " SELECT raw_id FROM announced UNION"
        " SELECT r.raw_id FROM raw_messages r JOIN announced a ON r.duplicate_of = a.raw_id",
        (contact_id,),
    ).fetchall()
    return [raw_id for (raw_id,) in rows]


def forget_person(connection: Conn, contact_id: UUID, addresses: Collection[str]) -> None:
    """The addresses of a contact, their company, and how often they filled forms."""
    connection.execute("UPDATE identities SET address = NULL WHERE contact_id = %s", (contact_id,))
    connection.execute(
        "UPDATE contacts SET company_id = NULL, tier = NULL WHERE contact_id = %s", (contact_id,)
    )
    forms.drop_hits(connection, [scope_of("address", address) for address in addresses])


def forget_envelopes(connection: Conn, raw_ids: Sequence[UUID], addresses: Collection[str]) -> None:
    """The addresses on these envelopes, and on those that are still unread."""
    connection.execute(
        "UPDATE raw_messages SET envelope_from = NULL WHERE envelope_from = ANY(%(addresses)s)"
        " AND (raw_id = ANY(%(ids)s) OR state = 'received')",
        {"addresses": list(addresses), "ids": list(raw_ids)},
    )


def forget_objects(connection: Conn, raw_ids: Sequence[UUID]) -> None:
    """Announced objects of messages are nobody's any more, and whatever was written for them is removed."""
    connection.execute(
        "WITH gone AS (DELETE FROM objects WHERE raw_id = ANY(%(ids)s) RETURNING raw_id, key)"
        " INSERT INTO object_removals (raw_id, keys, due_at, final_at)"
        " SELECT wanted.raw_id, coalesce(array_agg(gone.key) FILTER (WHERE gone.key IS NOT NULL), '{}'),"
        " clock_timestamp(), clock_timestamp() + %(again)s"
        " FROM unnest(%(ids)s::uuid[]) AS wanted (raw_id) LEFT JOIN gone USING (raw_id)"
        " GROUP BY wanted.raw_id ON CONFLICT (raw_id) DO NOTHING",
        {"ids": list(raw_ids), "again": AGAIN},
    )


def due_removals(connection: Conn, limit: int) -> list[tuple[UUID, list[str]]]:
    """Messages whose objects are to be removed now, with the keys that were announced."""
    rows = connection.execute(
        "SELECT raw_id, keys FROM object_removals WHERE due_at <= statement_timestamp() ORDER BY due_at"
        " LIMIT %s",
        (limit,),
    ).fetchall()
    return [(raw_id, keys) for raw_id, keys in rows]


def note_removals(connection: Conn, raw_ids: Sequence[UUID]) -> None:
    """Objects of these messages were removed; they are looked for a last time later."""
    connection.execute(
        "DELETE FROM object_removals WHERE raw_id = ANY(%s) AND final_at <= clock_timestamp()",
        (list(raw_ids),),
    )
    connection.execute(
        "UPDATE object_removals SET due_at = final_at WHERE raw_id = ANY(%s)", (list(raw_ids),)
    )
