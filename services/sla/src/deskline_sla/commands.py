"""Commands for whoever runs the system: policies and calendars from files, by the handlers of HTTP's door."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer
import uuid_utils.compat
from pydantic import BaseModel, ValidationError

from deskline_chassis.event_log import Cause
from deskline_events.sla import CalendarChanged, PolicyChanged
from deskline_sla import queries
from deskline_sla.api.bodies import CalendarBody, PolicyBody
from deskline_sla.domain.checking import RulesRefused
from deskline_sla.handlers.rules import PutRule, StaleRule, VersionMissing, put_rule

if TYPE_CHECKING:
    from deskline_sla.adapters.clock_desk import Desks

REFUSED = 1
WRONG = 2
BodyT = TypeVar("BodyT", bound=BaseModel)

File = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="JSON; the body of the PUT, and its id")
]
Seen = Annotated[
    int | None, typer.Option("--if-version", min=0, help="refuse unless it is at this version (0: not there)")
]


def policy_commands(open_desks: "Callable[[], Desks]") -> typer.Typer:
    """`policy put`, `policy list`."""
    app = typer.Typer(no_args_is_help=True, help="Policies: what is promised, and what happens on the way.")

    @app.command("put")
    def put(file: File, if_version: Seen = None) -> None:
        """Put the policy of a file (`policy_id` in it; without one a new policy) as its next version."""
        rule_id, body = _read(file, "policy_id", PolicyBody)
        _put(open_desks(), body.policy(rule_id), if_version, apply_to_open=body.apply_to_open)

    @app.command("list")
    def list_policies() -> None:
        """One JSON line per policy, in their order."""
        _list(open_desks(), queries.policies)

    return app


def calendar_commands(open_desks: "Callable[[], Desks]") -> typer.Typer:
    """`calendar put`, `calendar list`."""
    app = typer.Typer(no_args_is_help=True, help="Calendars: what business time is.")

    @app.command("put")
    def put(file: File, if_version: Seen = None) -> None:
        """Put the calendar of a file (`calendar_id` in it; without one a new one) as its next version."""
        rule_id, body = _read(file, "calendar_id", CalendarBody)
        _put(open_desks(), body.calendar(rule_id), if_version, apply_to_open=body.apply_to_open)

    @app.command("list")
    def list_calendars() -> None:
        """One JSON line per calendar."""
        _list(open_desks(), queries.calendars)

    return app


def _read(file: Path, key: str, model: type[BodyT]) -> tuple[UUID, BodyT]:
    try:
        data = json.loads(file.read_bytes())
        given = data.pop(key, None)
        rule_id = uuid_utils.compat.uuid7() if given is None else UUID(str(given))
        return rule_id, model.model_validate(data)
    except ValidationError as wrong:
        for error in wrong.errors(include_url=False, include_context=False, include_input=False):
            typer.echo(f"{'.'.join(map(str, error['loc']))}: {error['msg']}", err=True)
    except (ValueError, TypeError, AttributeError) as error:
        typer.echo(f"{file}: {error}", err=True)
    raise typer.Exit(WRONG)


def _put(
    desks: "Desks", rule: PolicyChanged | CalendarChanged, seen: int | None, *, apply_to_open: bool
) -> None:
    command_id = uuid_utils.compat.uuid7()
    command = PutRule(
        rule=rule,
        expected="any" if seen is None else seen,
        apply_to_open=apply_to_open,
        actor=None,
        cause=Cause(command_id, command_id),
    )
    try:
        put = put_rule(desks.open, command)
    except RulesRefused as refused:
        for fault in refused.faults:
            typer.echo(f"{fault.field}: {fault.message}", err=True)
        raise typer.Exit(REFUSED) from None
    except (StaleRule, VersionMissing) as stale:
        typer.echo(str(stale), err=True)
        raise typer.Exit(REFUSED) from None
    finally:
        desks.close()
    rule_id = put.policy_id if isinstance(put, PolicyChanged) else put.calendar_id
    typer.echo(json.dumps({"id": str(rule_id), "version": put.version}))


def _list(desks: "Desks", page: Callable[..., Any]) -> None:
    cursor: str | None = None
    try:
        while True:
            with desks.reading() as connection:
                found = page(connection, cursor, 100)
            for item in found.items:
                typer.echo(item.model_dump_json())
            cursor = found.next_cursor
            if cursor is None:
                return
    finally:
        desks.close()
