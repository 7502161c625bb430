"""The command line of the local stack."""

import sys

import typer
from rich.console import Console

from deskline_local.errors import StackError
from deskline_local.jars import ensure_jars, resolve_lock

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


def main() -> None:
    """Run a command; what can go wrong is told in words, not by a traceback."""
    try:
        app()
    except StackError as failure:
        console.print(str(failure), style="red", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
