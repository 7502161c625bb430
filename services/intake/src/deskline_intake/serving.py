"""Intake, wired: the doors for mail and forms, the readers of what they stored, the sweeper, the relay."""

import functools
import sys
from datetime import timedelta
from typing import Final

from fastapi import FastAPI

from deskline_chassis.callers import trust
from deskline_chassis.http import create_app
from deskline_chassis.identity import Verifier
from deskline_chassis.lag import Lags
from deskline_chassis.loops import Run
from deskline_chassis.serving import Serving, ServingParts
from deskline_chassis.settings import WRONG_SETTINGS
from deskline_events.topics import READER_GROUPS
from deskline_intake.adapters.objects import ERRORS, ObjectKeeper, open_objects
from deskline_intake.adapters.registry import PostgresRegistry
from deskline_intake.api.routes import FORM_BODY_BYTES, Desk, add_routes
from deskline_intake.channels.forms import FormDoor
from deskline_intake.channels.pressure import PressureGauge
from deskline_intake.channels.smtp import SmtpDoor
from deskline_intake.domain.pressure import Pressure
from deskline_intake.domain.rates import Rate
from deskline_intake.handlers.erasing import Eraser
from deskline_intake.handlers.forms import Rates
from deskline_intake.opening import MailOpener
from deskline_intake.reading import Bell, MailReader
from deskline_intake.settings import IntakeSettings
from deskline_intake.sweeping import Sweeper

# Doors ring it and readers hear it; it knows no loop before one of them runs.
_BELL: Final = Bell()


def loops(parts: ServingParts) -> dict[str, Run]:
    """Intake's own loops; all but the door may wait for the database."""
    settings = _settings(parts)
    try:
        objects = ObjectKeeper(open_objects(settings.object_store))
    except ERRORS as error:
        # The address may hold credentials, and the store's error quotes it.
        sys.stderr.write(f"settings: DESKLINE_INTAKE_OBJECT_STORE: can't be opened: {type(error).__name__}\n")
        raise SystemExit(WRONG_SETTINGS) from None
    opener = MailOpener(parts.database, objects, settings.own_domain_names, settings.parse_seconds)
    registry = PostgresRegistry()
    pressure = _pressure(parts)
    lags = Lags(parts.broker, READER_GROUPS, "intake-pressure")
    return {
        "smtp": SmtpDoor(settings, parts.database, _BELL, pressure).run,
        "pressure": PressureGauge(parts.database, lags, pressure).run,
        "parser": MailReader(parts.database, parts.log, registry, opener, _BELL, heavy=False).run,
        "heavy_parser": MailReader(parts.database, parts.log, registry, opener, _BELL, heavy=True).run,
        "sweeper": Sweeper(parts.database, objects).run,
    }


def app(parts: ServingParts) -> FastAPI:
    """Intake's HTTP, which the gateway alone may call."""
    settings = _settings(parts)
    made = create_app(
        "deskline-intake",
        "1",
        parts.runtime,
        body_limits={"/v1/": FORM_BODY_BYTES},
        trust_traceparent=True,
    )
    trust(made, Verifier(settings.identity_public_key, parts.name))
    forms = FormDoor(
        parts.database,
        _pressure(parts),
        Rates(
            Rate(settings.form_line_limit, timedelta(seconds=settings.form_line_seconds)),
            Rate(settings.form_address_limit, timedelta(seconds=settings.form_address_seconds)),
        ),
        _BELL.ring,
    )
    registry = PostgresRegistry()
    add_routes(made, Desk(parts.database, registry, forms, Eraser(parts.database, parts.log, registry)))
    return made


@functools.cache
def _pressure(parts: ServingParts) -> Pressure:
    # One for the process: the loop that looks, and the doors that ask it.
    return Pressure(_settings(parts).backlog_seconds)


def _settings(parts: ServingParts) -> IntakeSettings:
    assert isinstance(parts.settings, IntakeSettings)  # noqa: S101 -- main.py names them
    return parts.settings


SERVING = Serving(app=app, loops=loops, owns_keys=True)
