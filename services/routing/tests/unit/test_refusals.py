"""Refusals of changes: what programs are told of each is fixed."""

from uuid import UUID

import pytest

from deskline_routing.domain.refusals import (
    NotEmployed,
    OperatorErased,
    Refusal,
    TeamInUse,
    Unfit,
    VersionRequired,
    VersionStale,
)

pytestmark = pytest.mark.unit

TOLD = [
    (VersionRequired(), "if_match_required", 428, {}),
    (VersionStale(7), "stale_version", 412, {"current_version": 7}),
    (
        Unfit("team_id", "There is no such team."),
        "invalid_request",
        422,
        {"errors": [{"field": "body.team_id", "message": "There is no such team."}]},
    ),
    (TeamInUse([UUID(int=1)]), "team_in_use", 409, {"queue_ids": [str(UUID(int=1))]}),
    (OperatorErased(), "person_erased", 409, {}),
    (NotEmployed(), "operator_unknown", 404, {}),
]


@pytest.mark.parametrize(
    ("refusal", "code", "status", "members"), TOLD, ids=[type(one[0]).__name__ for one in TOLD]
)
def test_a_refusal_has_its_code_its_status_and_what_else_is_told(
    refusal: Refusal, code: str, status: int, members: dict[str, object]
) -> None:
    assert (refusal.code, refusal.status, refusal.members) == (code, status, members)
    # Without it the door would hide the sentence.
    assert refusal.safe_message is True
    assert refusal.title


def test_a_refusal_says_what_to_do() -> None:
    assert str(VersionStale(7)) == "Read it again and decide on what it is now."
    assert str(TeamInUse([])) == "Give these queues another team first, or switch them off."
    assert str(Unfit("team_id", "There is no such team.")) == "There is no such team."


def test_every_refusal_is_in_this_test() -> None:
    assert {type(one[0]) for one in TOLD} == set(Refusal.__subclasses__())


def test_of_very_many_queues_a_hundred_are_named() -> None:
    assert len(TeamInUse([UUID(int=number) for number in range(101)]).members["queue_ids"]) == 100  # type: ignore[arg-type]
