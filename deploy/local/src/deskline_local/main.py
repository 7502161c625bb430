"""The command line of the local stack."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deskline_local.client import StepFailedError
from deskline_local.demo import demo
from deskline_local.deployment import Doors
from deskline_local.errors import StackError
from deskline_local.jars import ensure_jars, resolve_lock
from deskline_local.lasting import command_in, down, run, up

app = typer.Typer(no_args_is_help=True, add_completion=False)
console = Console(stderr=True, highlight=False)


@app.callback()
def describe() -> None:
    """Real Kafka and PostgreSQL on this machine, as plain processes."""


@app.command("jars")
def fetch_jars() -> None:
    """Download Kafka's jars, and check those that are there."""
    count = len(ensure_jars(console.print))
    console.print(f"{count} jars are there, as kafka.lock names them")


@app.command("lock-jars")
def lock_jars() -> None:
    """Resolve Kafka's dependencies anew and write kafka.lock."""
    resolve_lock(console.print)


@app.command("demo")
def demo_command(
    folder: Annotated[Path, typer.Argument(help="emptied at the start")] = Path(".deskline/demo"),
    *,
    once: Annotated[bool, typer.Option("--once", help="end after the story")] = False,
) -> None:
    """Play the story on the whole system."""
    try:
        demo(folder.absolute(), Doors.from_environment(), Console(highlight=False), once=once)
    except StepFailedError as failure:
        console.print(str(failure), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


@app.command("up")
def up_command(folder: Annotated[Path, typer.Argument(help="kept")] = Path(".deskline/up")) -> None:
    """Start the whole system in the background, in a folder that lasts."""
    up(folder.absolute(), Console(highlight=False))


@app.command("down")
def down_command(folder: Annotated[Path, typer.Argument()] = Path(".deskline/up")) -> None:
    """Stop what `up` started."""
    down(folder.absolute(), Console(highlight=False))


@app.command("service", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def service_command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="intake, tickets, routing, sla, notify, analytics or gateway")],
    *,
    folder: Annotated[Path, typer.Option(help="of `up`")] = Path(".deskline/up"),
) -> None:
    """Run a service's command on what `up` started, such as: service intake line list."""
    typer.echo(command_in(folder.absolute(), name, context.args), nl=False)


@app.command("run", hidden=True)
def run_command(folder: Path) -> None:
    """Run the whole system in this process until it is told to stop."""
    run(folder, Doors.from_environment())


def main() -> None:
    """Run a command; what can go wrong is told in words, not by a traceback."""
    try:
        app()
    except StackError as failure:
        console.print(str(failure), style="red", markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
