"""What is asked of intake: its lines, and whose an address is."""

from uuid import UUID

from deskline_chassis.cursors import read_cursor, write_cursor
from deskline_chassis.postgres import Conn
from deskline_intake.adapters.lines import list_lines
from deskline_intake.answers import ContactFound, LinePage, LineShown
from deskline_intake.ports import Registry


def line_page(connection: Conn, cursor: str | None, limit: int) -> LinePage:
    """Some lines, those that are disabled too, the oldest first. Raises BadCursorError."""
    after = None if cursor is None else read_cursor("lines", cursor, UUID)[0]
    found = list_lines(connection, after, limit + 1)
    items = [
        LineShown(
            line_id=line.line_id,
            name=line.name,
            channel=line.channel,
            address=line.address,
            language=line.language,
            disabled=line.disabled,
            origins=list(line.origins),
        )
        for line in found[:limit]
    ]
    more = len(found) > limit
    return LinePage(items=items, next_cursor=write_cursor("lines", items[-1].line_id) if more else None)


def contact_of(connection: Conn, registry: Registry, address: str) -> ContactFound | None:
    """The contact of a normalised address, on whatever line; None where there is none."""
    known = registry.people(connection, [address]).get(address)
    if not known:
        return None
    person = known[0]
    return ContactFound(
        contact_id=person.contact_id,
        company_id=person.company_id,
        tier=person.tier,
        locale=person.locale,
        verified=person.verified,
    )
