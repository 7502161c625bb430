"""Settings: what is wrong with the environment is told in one line, by name and never by value."""

import base64
from typing import ClassVar

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from deskline_chassis.settings import MigrationSettings, ServiceSettings, load, load_migration

pytestmark = pytest.mark.unit

CANARY = "canary-7b1e"


class PlanetSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DESKLINE_PLANETS_")

    moons: int = 2
    names: tuple[str, ...] = ()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    import os

    for name in list(os.environ):
        if name.startswith(("DESKLINE_", "OTEL_")):
            monkeypatch.delenv(name)
    key = base64.b64encode(bytes(32)).decode()
    for name, value in {
        "DESKLINE_KAFKA": "broker:9092",
        "DESKLINE_KEY_ENCRYPTION_KEY": key,
        "DESKLINE_IDENTITY_PUBLIC_KEY": key,
        "DESKLINE_PLANETS_DATABASE_URL": f"postgresql://u:{CANARY}@db/planets",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        load(PlanetSettings)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert CANARY not in err
    return err.splitlines()


def test_environment_becomes_values_and_defaults(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DESKLINE_PLANETS_MOONS", "7")
    environment.setenv("DESKLINE_PLANETS_HTTP_PORT", "9000")
    environment.setenv("DESKLINE_INSTANCE", "planets-3")
    settings = load(PlanetSettings)
    assert (settings.moons, settings.http_port, settings.instance) == (7, 9000, "planets-3")
    assert (settings.kafka, settings.partitions, settings.trace_sample) == ("broker:9092", 6, 0.01)
    assert settings.key_encryption_key_bytes == bytes(32)
    assert settings.service() == "planets"


def test_instance_is_named_after_the_service(environment: pytest.MonkeyPatch) -> None:
    assert load(PlanetSettings).instance == "planets-0"


def test_settings_are_frozen_and_print_no_secret(environment: pytest.MonkeyPatch) -> None:
    settings = load(PlanetSettings)
    with pytest.raises(ValidationError):
        settings.moons = 3  # type: ignore[misc]
    assert CANARY not in repr(settings)
    assert isinstance(settings.database_url, SecretStr)


def test_missing_variable_is_named_in_one_line(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("DESKLINE_PLANETS_DATABASE_URL")
    assert refusal(capsys) == ["settings: DESKLINE_PLANETS_DATABASE_URL: is not set"]


def test_empty_variable_counts_as_not_set(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("DESKLINE_KAFKA", "")
    environment.setenv("DESKLINE_PLANETS_MOONS", "")
    assert refusal(capsys) == ["settings: DESKLINE_KAFKA: is not set"]


class Wrong:
    cases: ClassVar = {
        "DESKLINE_KAFKA": f"{CANARY} without port",
        "DESKLINE_KAFKA_SECURITY": CANARY,
        "DESKLINE_KEY_ENCRYPTION_KEY": CANARY,
        "DESKLINE_IDENTITY_PUBLIC_KEY": base64.b64encode(CANARY.encode()).decode(),
        "DESKLINE_PARTITIONS": CANARY,
        "DESKLINE_TRACE_SAMPLE": "1.5",
        "DESKLINE_LOG_LEVEL": CANARY,
        "DESKLINE_INSTANCE": f"{CANARY} with spaces",
        "OTEL_EXPORTER_OTLP_ENDPOINT": CANARY,
        "DESKLINE_PLANETS_MOONS": CANARY,
        "DESKLINE_PLANETS_HTTP_PORT": "70000",
        "DESKLINE_PLANETS_NAMES": f"[{CANARY}",
    }


@pytest.mark.parametrize("variable", sorted(Wrong.cases))
def test_wrong_variable_is_named_in_one_line_without_its_value(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    environment.setenv(variable, Wrong.cases[variable])
    (line,) = refusal(capsys)
    assert line.startswith(f"settings: {variable}: ")
    assert Wrong.cases[variable] not in line


def test_several_problems_get_one_line_each(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("DESKLINE_KAFKA")
    environment.setenv("DESKLINE_PLANETS_MOONS", "many")
    lines = refusal(capsys)
    assert [line.split(": ")[1] for line in lines] == ["DESKLINE_KAFKA", "DESKLINE_PLANETS_MOONS"]


def test_sasl_without_password_is_refused(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("DESKLINE_KAFKA_SECURITY", "SASL_SSL")
    environment.setenv("DESKLINE_KAFKA_USERNAME", "planets")
    assert refusal(capsys) == ["settings: DESKLINE_KAFKA_PASSWORD: needed by DESKLINE_KAFKA_SECURITY"]


def test_migration_needs_only_the_owners_url(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("DESKLINE_KAFKA")
    environment.setenv("DESKLINE_PLANETS_MIGRATION_URL", "postgresql://owner@db/planets")
    assert load_migration(PlanetSettings) == MigrationSettings(
        "postgresql://owner@db/planets", "planets_runtime", "planets_readonly"
    )
    environment.delenv("DESKLINE_PLANETS_MIGRATION_URL")
    with pytest.raises(SystemExit):
        load_migration(PlanetSettings)
    assert capsys.readouterr().err == "settings: DESKLINE_PLANETS_MIGRATION_URL: is not set\n"
