"""The command line for setting up: operators, teams and queues, put by the same handlers as over HTTP."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import typer
import uuid_utils.compat
from pydantic import ValidationError

from deskline_chassis.event_log import Cause
from deskline_chassis.parts import Parts
from deskline_chassis.settings import load
from deskline_routing.adapters.desk import Desks
from deskline_routing.api.bodies import OperatorBody, QueueBody, TeamBody
from deskline_routing.domain.refusals import Refusal
from deskline_routing.handlers import directory
from deskline_routing.ports import OpenDesk
from deskline_routing.settings import RoutingSettings

operators = typer.Typer(no_args_is_help=True, help="Operators: who answers, and how much of it at once.")
teams = typer.Typer(no_args_is_help=True, help="Teams and their leads.")
queues = typer.Typer(no_args_is_help=True, help="Queues: which tickets, to which team.")

Id = Annotated[UUID | None, typer.Option("--id", help="a new one by default")]


@operators.command("put")
def put_operator(
    *,
    name: Annotated[str, typer.Option(help="how colleagues see them")],
    address: Annotated[str, typer.Option(help="where they are told, by mail")],
    operator_id: Id = None,
    language: Annotated[str, typer.Option(help="ru or en")] = "ru",
    team: Annotated[list[UUID] | None, typer.Option(help="may be repeated")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="may be repeated")] = None,
    capacity: Annotated[float, typer.Option(help="tickets at once, offers included")] = 5,
    left: Annotated[bool, typer.Option("--left", help="they work here no more")] = False,
) -> None:
    """Register or replace an operator; prints the id."""
    given = {
        "name": name,
        "address": address,
        "language": language,
        "employed": not left,
        "team_ids": team or [],
        "skills": skill or [],
        "capacity": capacity,
    }
    _put(OperatorBody, given, operator_id, directory.put_operator)


@operators.command("erase")
def erase_operator(
    operator_id: Annotated[UUID, typer.Option("--id", help="whose name and address are to be destroyed")],
) -> None:
    """Let an operator leave, and destroy their name and address for ever."""
    with _desks() as open_desk:
        done = directory.erase_operator(open_desk, operator_id, _of_the_shell())
    if not done:
        raise _refused("there is no operator with this id, or they were erased before")


@teams.command("put")
def put_team(
    name: Annotated[str, typer.Option(help="how people see it")],
    team_id: Id = None,
    lead: Annotated[list[UUID] | None, typer.Option(help="an operator's id; may be repeated")] = None,
    *,
    inactive: Annotated[bool, typer.Option("--inactive", help="it is no more")] = False,
) -> None:
    """Make or replace a team; prints the id."""
    given = {"name": name, "lead_ids": lead or [], "active": not inactive}
    _put(TeamBody, given, team_id, directory.put_team)


@queues.command("put")
def put_queue(
    *,
    name: Annotated[str, typer.Option(help="how people see it")],
    queue_id: Id = None,
    team: Annotated[UUID | None, typer.Option(help="who serves it; anybody by default")] = None,
    order: Annotated[int, typer.Option(help="the first match by order is taken")] = 100,
    conditions: Annotated[str, typer.Option(help='JSON, such as {"levels": [2]}')] = "{}",
    skill: Annotated[list[str] | None, typer.Option(help="may be repeated")] = None,
    accept_seconds: Annotated[int, typer.Option(help="how long an offer stands")] = 30 * 60,
    inactive: Annotated[bool, typer.Option("--inactive", help="it takes nothing more")] = False,
) -> None:
    """Make or replace a queue; prints the id."""
    try:
        wanted = json.loads(conditions)
    except ValueError:
        raise _refused("--conditions is not JSON") from None
    given = {
        "name": name,
        "team_id": team,
        "order": order,
        "conditions": wanted,
        "skills": skill or [],
        "accept_seconds": accept_seconds,
        "active": not inactive,
    }
    _put(QueueBody, given, queue_id, directory.put_queue)


def _put(body: type[Any], given: dict[str, Any], named: UUID | None, put: Callable[..., int]) -> None:
    identity = named or uuid_utils.compat.uuid7()
    try:
        fact = body.model_validate(given).fact(identity)
    except ValidationError as wrong:
        fields = {".".join(map(str, one["loc"])): one["msg"] for one in wrong.errors(include_input=False)}
        raise _refused("\n".join(f"{field}: {message}" for field, message in fields.items())) from None
    with _desks() as open_desk:
        try:
            put(open_desk, fact, "any", _of_the_shell())
        except Refusal as refusal:
            raise _refused(str(refusal) or refusal.title) from None
    typer.echo(str(identity))


@contextmanager
def _desks() -> Iterator[OpenDesk]:
    parts = Parts(load(RoutingSettings))
    try:
        yield Desks(parts.database, parts.log).open
    finally:
        parts.database.close()


def _of_the_shell() -> Cause:
    return Cause(uuid_utils.compat.uuid7())


def _refused(why: str) -> typer.Exit:
    typer.echo(why, err=True)
    return typer.Exit(1)
