"""Settings: the environment as typed, frozen values, checked before anything starts."""

import base64
import binascii
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

WRONG_SETTINGS: Final = 2
"""Exit code of a process whose environment is wrong: starting it again can't help."""

_KEY_BYTES: Final = 32


def _is_key(value: str) -> str:
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be base64 of {_KEY_BYTES} bytes") from None
    if len(raw) != _KEY_BYTES:
        raise ValueError(f"must be base64 of {_KEY_BYTES} bytes, these are {len(raw)}")
    return value


def _is_secret_key(value: SecretStr) -> SecretStr:
    _is_key(value.get_secret_value())
    return value


Key = Annotated[str, AfterValidator(_is_key)]
"""Base64 of 32 bytes that anybody may see (a public key)."""

SecretKey = Annotated[SecretStr, AfterValidator(_is_secret_key)]
"""Base64 of 32 bytes that nobody may see."""


Role = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
"""A database role's name."""


class KafkaSettings(BaseSettings):
    """How a process reaches the deployment's Kafka, and what its topics look like."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    kafka: Annotated[str, Field(validation_alias="DESKLINE_KAFKA", pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$")]
    kafka_security: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT"],
        Field(validation_alias="DESKLINE_KAFKA_SECURITY"),
    ] = "PLAINTEXT"
    kafka_username: Annotated[str | None, Field(validation_alias="DESKLINE_KAFKA_USERNAME")] = None
    kafka_password: Annotated[SecretStr | None, Field(validation_alias="DESKLINE_KAFKA_PASSWORD")] = None
    kafka_ca_file: Annotated[Path | None, Field(validation_alias="DESKLINE_KAFKA_CA_FILE")] = None
    topic_prefix: Annotated[
        str, Field(validation_alias="DESKLINE_TOPIC_PREFIX", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    ] = ""
    partitions: Annotated[int, Field(validation_alias="DESKLINE_PARTITIONS", ge=1, le=1000)] = 6
    replication: Annotated[int, Field(validation_alias="DESKLINE_REPLICATION", ge=1, le=9)] = 1
    manage_topics: Annotated[bool, Field(validation_alias="DESKLINE_MANAGE_TOPICS")] = True

    @model_validator(mode="after")
    def _credentials_belong_together(self) -> Self:
        if self.kafka_security.startswith("SASL"):
            for name, value in (("USERNAME", self.kafka_username), ("PASSWORD", self.kafka_password)):
                if value is None:
                    raise ValueError(f"DESKLINE_KAFKA_{name}: needed by DESKLINE_KAFKA_SECURITY")
        return self


class ServiceSettings(KafkaSettings):
    """What every service is told; a service's own class sets `env_prefix` and adds its variables.

    Variables without a service in their name are the deployment's: the same for all services.
    """

    model_config = SettingsConfigDict(env_prefix="DESKLINE_SERVICE_")

    instance: Annotated[str, Field(validation_alias="DESKLINE_INSTANCE", pattern=r"^[A-Za-z0-9._-]{1,200}$")]
    key_encryption_key: Annotated[SecretKey, Field(validation_alias="DESKLINE_KEY_ENCRYPTION_KEY")]
    identity_public_key: Annotated[Key, Field(validation_alias="DESKLINE_IDENTITY_PUBLIC_KEY")]
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(validation_alias="DESKLINE_LOG_LEVEL")
    ] = "INFO"
    trace_sample: Annotated[float, Field(validation_alias="DESKLINE_TRACE_SAMPLE", ge=0, le=1)] = 0.01
    trace_file: Annotated[Path | None, Field(validation_alias="DESKLINE_TRACE_FILE")] = None
    otlp_endpoint: Annotated[
        str | None, Field(validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT", pattern=r"^https?://")
    ] = None

    database_url: SecretStr
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    pool_size: Annotated[int, Field(ge=1, le=200)] = 8

    @classmethod
    def service(cls) -> str:
        """The service's name, as its variables carry it."""
        prefix = str(cls.model_config.get("env_prefix", ""))
        return prefix.removeprefix("DESKLINE_").removesuffix("_").lower()

    @property
    def key_encryption_key_bytes(self) -> bytes:
        """The key that wraps persons' keys: 32 bytes."""
        return base64.b64decode(self.key_encryption_key.get_secret_value())

    @model_validator(mode="before")
    @classmethod
    def _name_the_instance(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data.setdefault("DESKLINE_INSTANCE", f"{cls.service()}-0")
        return data


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(settings: type[SettingsT]) -> SettingsT:
    """Read the environment; where it is wrong, say so in one line per variable and exit with 2.

    The lines name the variable and what is wrong with it, never its value.
    """
    try:
        return settings()
    except ValidationError as wrong:
        # One line per variable: a union tells of each of its members.
        problems = dict(
            _problem(settings, error["loc"], error["type"], error["msg"])
            for error in reversed(wrong.errors(include_url=False, include_context=False, include_input=False))
        )
    except SettingsError as wrong:
        named = re.search(r'field "(\w+)"', str(wrong))
        problems = {_variable(settings, named.group(1) if named else "?"): "is not JSON"}
    for variable, problem in reversed(problems.items()):
        sys.stderr.write(f"settings: {variable}: {problem}\n")
    raise SystemExit(WRONG_SETTINGS)


@dataclass(frozen=True, slots=True)
class MigrationSettings:
    """All that `migrate` needs: the owner's database URL, and the roles that get rights."""

    url: str
    runtime_role: str
    readonly_role: str


def load_migration(settings: type[ServiceSettings]) -> MigrationSettings:
    """Read what `migrate` needs and no more; wrong or missing, as `load` does."""
    service = settings.service()

    class Wanted(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=settings.model_config.get("env_prefix", ""), extra="ignore", env_ignore_empty=True
        )
        migration_url: SecretStr
        runtime_role: Role = f"{service}_runtime"
        readonly_role: Role = f"{service}_readonly"

    found = load(Wanted)
    return MigrationSettings(found.migration_url.get_secret_value(), found.runtime_role, found.readonly_role)


def _variable(settings: type[BaseSettings], name: str) -> str:
    field = settings.model_fields.get(name)
    if field is not None and isinstance(field.validation_alias, str):
        return field.validation_alias
    if field is None and name.isupper():
        return name
    return f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def _problem(
    settings: type[BaseSettings], location: tuple[int | str, ...], kind: str, message: str
) -> tuple[str, str]:
    text = " ".join(message.removeprefix("Value error, ").split())
    if not location:
        variable, _, rest = text.partition(": ")
        return variable, rest
    return _variable(settings, str(location[0])), "is not set" if kind == "missing" else text
