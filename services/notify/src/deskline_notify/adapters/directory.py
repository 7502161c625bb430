"""The directory: where people are reached, as intake and routing tell it; one table for each kind of fact."""

import json
from collections.abc import Collection, Sequence
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_events.intake import ContactRegistered
from deskline_events.notify import Recipient
from deskline_events.routing import OperatorChanged, TeamChanged
from deskline_notify.adapters.sealing import Sealed, Sealer


def keep_contacts(connection: Conn, sealer: Sealer, facts: Sequence[ContactRegistered]) -> None:
    """Contacts as they were registered; the caller gives each once."""
    if facts:
        connection.execute(
            "INSERT INTO contacts (contact_id, address) SELECT id, address::jsonb"
            " FROM unnest(%b::uuid[], %b::text[]) AS new (id, address)"
            " ON CONFLICT (contact_id) DO UPDATE SET address = excluded.address",
            (
                [fact.contact_id for fact in facts],
                [
                    as_json(sealer.seal(fact.contact_id, fact.contact_id, "address", fact.address))
                    for fact in facts
                ],
            ),
        )


def keep_operators(connection: Conn, sealer: Sealer, facts: Sequence[OperatorChanged]) -> None:
    """Operators as they are now; the caller gives each once."""
    for fact in facts:
        person = fact.operator_id
        connection.execute(
            "INSERT INTO operators (operator_id, name, address, language, employed, team_ids)"
            " VALUES (%s, %s::jsonb, %s::jsonb, %s, %s, %s) ON CONFLICT (operator_id) DO UPDATE SET"
            " name = excluded.name, address = excluded.address, language = excluded.language,"
            " employed = excluded.employed, team_ids = excluded.team_ids",
            (
                person,
                as_json(sealer.seal(person, person, "name", fact.name)),
                as_json(sealer.seal(person, person, "address", fact.address)),
                fact.language,
                fact.employed,
                list(fact.team_ids),
            ),
        )


def keep_teams(connection: Conn, facts: Sequence[TeamChanged]) -> None:
    """Teams as they are now; the caller gives each once."""
    for fact in facts:
        connection.execute(
            "INSERT INTO teams (team_id, lead_ids) VALUES (%s, %s)"
            " ON CONFLICT (team_id) DO UPDATE SET lead_ids = excluded.lead_ids",
            (fact.team_id, list(fact.lead_ids)),
        )


def known_among(connection: Conn, recipients: Collection[Recipient]) -> set[UUID]:
    """Those of whom it is known how they are reached, or that they can't be any more."""
    if not recipients:
        return set()
    rows = connection.execute(
        "SELECT contact_id FROM contacts WHERE contact_id = ANY(%(ids)b)"
        " UNION ALL SELECT operator_id FROM operators WHERE operator_id = ANY(%(ids)b)",
        {"ids": list({recipient.id for recipient in recipients})},
    ).fetchall()
    return {row[0] for row in rows}


def leads_of(connection: Conn, team_ids: Collection[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    """Leads of those teams that are known."""
    if not team_ids:
        return {}
    rows = connection.execute(
        "SELECT team_id, lead_ids FROM teams WHERE team_id = ANY(%b)", (list(team_ids),)
    ).fetchall()
    return {team_id: tuple(leads) for team_id, leads in rows}


def teams_of(connection: Conn, operator_id: UUID) -> frozenset[UUID]:
    """The teams that an operator is in, or leads."""
    rows = connection.execute(
        "SELECT unnest(team_ids) FROM operators WHERE operator_id = %(id)s"
        " UNION SELECT team_id FROM teams WHERE %(id)s = ANY(lead_ids)",
        {"id": operator_id},
    ).fetchall()
    return frozenset(row[0] for row in rows)


def as_json(sealed: Sealed | None) -> str | None:
    """A sealed value as the column's text."""
    return None if sealed is None else json.dumps(sealed)
