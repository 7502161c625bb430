"""Ids that are derived: the same for ever, or what was stored once would be made a second time."""

from uuid import UUID

import pytest

from deskline_tickets.domain.ids import NAMESPACE, command_id_of, set_aside_stream_of, ticket_id_of

pytestmark = pytest.mark.unit


def test_derived_ids_are_the_same_for_ever() -> None:
    assert UUID("b3a1c7de-52a4-5f0e-8d39-3a4f60c1d7b2") == NAMESPACE
    assert ticket_id_of("ab" * 32) == UUID("31ca253c-92ca-5699-8a92-23c4f870ed29")
    assert set_aside_stream_of("ab" * 32) == UUID("06835651-55f6-523a-a9c4-179ceb17616c")
    assert command_id_of(UUID(int=7), "key") == UUID("069a4a68-595f-5806-8756-ba195740b6c1")


def test_what_differs_has_another_id() -> None:
    assert ticket_id_of("a") != ticket_id_of("b")
    assert ticket_id_of("a") != set_aside_stream_of("a")
    assert len({command_id_of(UUID(int=n), key) for n in (1, 2) for key in "ab"}) == 4
