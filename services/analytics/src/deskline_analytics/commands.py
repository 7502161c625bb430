"""Commands for the read models."""

from typing import Annotated, Final

import typer

from deskline_analytics.domain.models import MODELS
from deskline_analytics.settings import AnalyticsSettings
from deskline_chassis.logs import configure_logging
from deskline_chassis.settings import load, load_migration

WRONG_USE: Final = 2


def rebuild_command(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help=f"{', '.join(MODELS)}; all by default")
    ] = None,
    *,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", help="take what was rebuilt where it differs")
    ] = False,
) -> None:
    """Rebuild read models from the topics, beside the live ones; exits 1 where they differ.

    The service goes on serving; its reader stands still for moments. Needs the owner's database URL.
    """
    # The only command that applies records itself.
    from deskline_analytics.rebuild import rebuild
    from deskline_analytics.rebuilding import RebuildRefusedError

    wanted = tuple(dict.fromkeys(models or MODELS))
    if unknown := sorted(set(wanted) - set(MODELS)):
        typer.echo(f"rebuild: {', '.join(unknown)}: choose from {', '.join(MODELS)}", err=True)
        raise typer.Exit(WRONG_USE)
    settings = load(AnalyticsSettings)
    configure_logging(settings.service(), settings.log_level)
    migration = load_migration(AnalyticsSettings)
    try:
        verdict = rebuild(settings, migration, wanted, accept_differences=accept_differences)
    except RebuildRefusedError as refused:
        typer.echo(f"rebuild: {refused}", err=True)
        raise typer.Exit(1) from None
    if not (verdict.equal or accept_differences):
        typer.echo("rebuild: different; the live tables are untouched. Take the rebuilt ones with")
        typer.echo(
            "  --accept-differences, or find out why first: nothing in a read model may differ by itself"
        )
        raise typer.Exit(1)
