"""Lists travel to PostgreSQL in binary, with the type of what is in them."""

from uuid import uuid4

import pytest

from deskline_chassis.postgres import Database
from deskline_local.stack import Stack

pytestmark = pytest.mark.component


def test_lists_travel_with_the_type_of_their_elements(stack: Stack) -> None:
    place = stack.create_service_database("intake", f"lists_{uuid4().hex[:8]}")
    database = Database(place.runtime_url, "lists", size=1)
    database.open()
    try:
        with database.transaction() as connection:
            ids, texts = [uuid4(), None], ['{"говорит": "\\ \' NULL"}', "", "null"]
            # As text the types would be unknown, which PostgreSQL refuses here.
            row = connection.execute(
                "SELECT pg_typeof(%s)::text, pg_typeof(%s)::text, %s::uuid[], %s::text[], %s::int[]",
                (texts, ids, ids, texts, []),
            ).fetchone()
        assert row == ("text[]", "uuid[]", ids, texts, [])
    finally:
        database.close()
        stack.drop_service_database("intake", place.name)
