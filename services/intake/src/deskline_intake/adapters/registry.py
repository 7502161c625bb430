"""Contacts, companies, identities and announced sources in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_events.facts import StoredObject
from deskline_intake.parser import Identity
from deskline_intake.ports import Company, Person, Source

_SOURCE = (
    "SELECT s.line_id, s.source_key, s.base_key, encode(s.message_id_hash, 'hex'), s.raw_id, r.received_at,"
    " r.erased_at IS NOT NULL"
    " FROM sources s JOIN raw_messages r USING (raw_id) WHERE s.line_id = wanted.line_id"
)


class PostgresRegistry:
    """See `ports.Registry`; every method is called under the log's lock, or to look ahead without it."""

    def sources(self, connection: Conn, identities: Collection[tuple[UUID, Identity]]) -> list[Source]:
        rows = connection.execute(
            "SELECT found.* FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS wanted (line_id, base, hash)"
            " CROSS JOIN LATERAL"
            f" ((({_SOURCE} AND s.base_key = wanted.base ORDER BY r.arrival DESC LIMIT 1)"
            f" UNION ALL ({_SOURCE} AND s.message_id_hash = decode(wanted.hash, 'hex') LIMIT 1))) AS found",
            (
                [line_id for line_id, _ in identities],
                [identity.source_key for _, identity in identities],
                [identity.message_id_hash for _, identity in identities],
            ),
        ).fetchall()
        return [Source(*row) for row in rows]

    def people(self, connection: Conn, addresses: Collection[str]) -> dict[str, list[Person]]:
        rows = connection.execute(
            "SELECT i.address, i.line_id, i.identity_id, i.contact_id, c.company_id,"
            " coalesce(c.tier, (SELECT o.tier FROM companies o WHERE o.company_id = c.company_id)),"
            " c.locale, c.verified FROM identities i CROSS JOIN LATERAL (SELECT company_id, tier, locale,"
            " verified FROM contacts WHERE contacts.contact_id = i.contact_id OFFSET 0) AS c"
            " CROSS JOIN LATERAL (SELECT FROM person_keys k WHERE k.subject = i.contact_id"
            " AND k.erased_at IS NULL OFFSET 0) AS known WHERE i.address = ANY(%s) ORDER BY i.identity_id",
            (list(addresses),),
        ).fetchall()
        found: dict[str, list[Person]] = {}
        for address, *row in rows:
            found.setdefault(address, []).append(Person(*row))
        return found

    def companies(self, connection: Conn, domains: Collection[str]) -> dict[str, Company]:
        rows = connection.execute(
            "SELECT d.domain, c.company_id, c.tier, c.locale"
            " FROM company_domains d JOIN companies c USING (company_id) WHERE d.domain = ANY(%s)",
            (list(domains),),
        ).fetchall()
        return {domain: Company(*row) for domain, *row in rows}

    def save_companies(self, connection: Conn, companies: Mapping[str, Company]) -> None:
        found = list(companies.values())
        connection.execute(
            "INSERT INTO companies (company_id, tier, locale)"
            " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[])",
            ([c.company_id for c in found], [c.tier for c in found], [c.locale for c in found]),
        )
        connection.execute(
            "INSERT INTO company_domains (domain, company_id) SELECT * FROM unnest(%s::text[], %s::uuid[])",
            (list(companies), [c.company_id for c in found]),
        )

    def save_people(
        self, connection: Conn, contacts: Sequence[Person], identities: Sequence[tuple[str | None, Person]]
    ) -> None:
        connection.execute(
            "INSERT INTO contacts (contact_id, company_id, locale, verified)"
            " SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::boolean[])",
            (
                [c.contact_id for c in contacts],
                [c.company_id for c in contacts],
                [c.locale for c in contacts],
                [c.verified for c in contacts],
            ),
        )
        # An erasure nulls the address too; should an identity of somebody erased still have it, it becomes
        # the new contact's.
        connection.execute(
            "INSERT INTO identities (identity_id, line_id, address, contact_id)"
            " SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[])"
            " ON CONFLICT (line_id, address) DO UPDATE"
            " SET identity_id = excluded.identity_id, contact_id = excluded.contact_id",
            (
                [person.identity_id for _, person in identities],
                [person.line_id for _, person in identities],
                [address for address, _ in identities],
                [person.contact_id for _, person in identities],
            ),
        )

    def verify_people(self, connection: Conn, people: Sequence[Person]) -> None:
        connection.execute(
            "UPDATE contacts c SET verified = true, company_id = v.company_id"
            " FROM unnest(%s::uuid[], %s::uuid[]) AS v (contact_id, company_id)"
            " WHERE c.contact_id = v.contact_id",
            ([p.contact_id for p in people], [p.company_id for p in people]),
        )

    def save_sources(self, connection: Conn, sources: Sequence[Source]) -> None:
        connection.execute(
            "INSERT INTO sources (line_id, source_key, base_key, message_id_hash, raw_id)"
            " SELECT line_id, source_key, base_key, decode(hash, 'hex'), raw_id FROM"
            " unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::uuid[])"
            " AS new (line_id, source_key, base_key, hash, raw_id)",
            (
                [s.line_id for s in sources],
                [s.source_key for s in sources],
                [s.base_key for s in sources],
                [s.message_id_hash for s in sources],
                [s.raw_id for s in sources],
            ),
        )

    def save_objects(self, connection: Conn, objects: Sequence[tuple[UUID, StoredObject]]) -> None:
        connection.execute(
            "INSERT INTO objects (key, sha256, size, raw_id)"
            " SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::uuid[])",
            (
                [found.key for _, found in objects],
                [found.sha256 for _, found in objects],
                [found.size for _, found in objects],
                [raw_id for raw_id, _ in objects],
            ),
        )
