"""A service's commands: each service has those that fit what it serves, and they start lightly."""

import subprocess
import sys

import pytest
from tests.contract.kafka_resources import SERVICES

from deskline_chassis.relay import as_stored

ONLY_SERVING = {"fastapi", "starlette", "uvicorn", "aiokafka", "faststream", "aiosmtpd", "aiohttp", "obstore"}
ONLY_MIGRATING = {"sqlalchemy", "alembic"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_command_starts_without_what_only_serves(name: str) -> None:
    loaded = f"import sys, deskline_{name}.main; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert not (ONLY_SERVING | ONLY_MIGRATING) & set(told.stdout.split())


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_reads_has_commands_for_what_was_parked(name: str) -> None:
    service = SERVICES[name]
    assert service.reads == (service.serving().reader is not None)


@pytest.mark.parametrize("name", SERVICES)
def test_only_who_announces_publishes_and_owns_keys(name: str) -> None:
    service, serving = SERVICES[name], SERVICES[name].serving()
    assert service.announces or (not serving.owns_keys and serving.publish is as_stored)
