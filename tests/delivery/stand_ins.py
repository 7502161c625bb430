"""Kafka and PostgreSQL with what the operators' resources say of them: users, rights, topics, roles.

The operators themselves are not here; what of their resources reaches a client is laid on plain servers.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.delivery.authority import Authority
from tests.delivery.engine import docker
from tests.delivery.manifests import Document
from tests.delivery.references import Overlay

KAFKA_IMAGE: Final = "apache/kafka:4.3.1"
POSTGRES_IMAGE: Final = "postgres:17"
KAFKA_HOST: Final = "deskline-kafka-bootstrap"
POSTGRES_HOST: Final = "postgres-rw"

# Numbers of the protocol.
_RESOURCES: Final = {"topic": 2, "group": 3}
_PATTERNS: Final = {"literal": 3, "prefix": 4}
_OPERATIONS: Final = {"Read": 3, "Write": 4, "Describe": 8}
_ALLOW: Final = 3


def kafka_settings() -> dict[str, str]:
    """The one listener of the Kafka resource, and one on the loopback for whoever lays the rest on it."""
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return {
        "CLUSTER_ID": "ZGVza2xpbmUtaGlnaC0wMQ",
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "TLS://:9093,LOCAL://127.0.0.1:19092,CONTROLLER://127.0.0.1:9094",
        "KAFKA_ADVERTISED_LISTENERS": f"TLS://{KAFKA_HOST}:9093,LOCAL://127.0.0.1:19092",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "TLS:SASL_SSL,LOCAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "LOCAL",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@127.0.0.1:9094",
        "KAFKA_LISTENER_NAME_TLS_SASL_ENABLED_MECHANISMS": "SCRAM-SHA-512",
        "KAFKA_LISTENER_NAME_TLS_SCRAM___SHA___512_SASL_JAAS_CONFIG": scram,
        "KAFKA_SSL_KEYSTORE_TYPE": "PEM",
        "KAFKA_SSL_KEYSTORE_LOCATION": "/stand-in/keystore.pem",
        "KAFKA_AUTHORIZER_CLASS_NAME": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "KAFKA_SUPER_USERS": "User:ANONYMOUS",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "6",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_HEAP_OPTS": "-Xmx512m -Xms256m",
    }


def start_kafka(network: str, folder: Path, authority: Authority) -> str:
    """The broker's container, not yet answering."""
    signed = authority.sign(KAFKA_HOST)
    _write(folder / "keystore.pem", signed.key + signed.certificate)
    flags = [f"--env={name}={value}" for name, value in kafka_settings().items()]
    return _run(network, KAFKA_HOST, folder, [*flags, KAFKA_IMAGE])


def lay_users_and_topics(
    overlay: Overlay, hidden: dict[str, dict[str, str]], container: str, helper_image: str
) -> None:
    """What Strimzi's entity operator makes of KafkaUser and KafkaTopic."""
    prefix = overlay.of_kind("Kafka")[0].spec["entityOperator"]["userOperator"]["secretPrefix"]
    users = {one.name: hidden[f"{prefix}{one.name}"]["password"] for one in overlay.of_kind("KafkaUser")}
    wanted = {"users": users, "topics": [*_topics(overlay)], "rights": [*_rights(overlay)]}
    script = (Path(__file__).parent / "laying.py").read_text()
    docker(
        *("run", "--rm", f"--network=container:{container}", "--entrypoint=python3", helper_image),
        *("-c", script, json.dumps(wanted)),
    )


def _topics(overlay: Overlay) -> Iterator[Document]:
    for one in overlay.of_kind("KafkaTopic"):
        config = {key: str(value) for key, value in one.spec["config"].items()}
        yield {"name": one.name, "partitions": one.spec["partitions"], "config": config}


def _rights(overlay: Overlay) -> Iterator[list[Any]]:
    for user in overlay.of_kind("KafkaUser"):
        for acl in user.spec["authorization"]["acls"]:
            resource = acl["resource"]
            kind, pattern = _RESOURCES[resource["type"]], _PATTERNS[resource["patternType"]]
            for operation in acl["operations"]:
                who = f"User:{user.name}"
                yield [kind, resource["name"], pattern, who, "*", _OPERATIONS[operation], _ALLOW]


def start_postgres(overlay: Overlay, network: str, folder: Path, authority: Authority) -> str:
    """The server's container with the cluster's rules of entry, not yet answering."""
    signed = authority.sign(POSTGRES_HOST)
    rules = overlay.of_kind("Cluster")[0].spec["postgresql"]["pg_hba"]
    _write(folder / "server.crt", signed.certificate)
    _write(folder / "server.key", signed.key)
    # Before the cluster's own, the operator lets itself in by the socket.
    _write(folder / "pg_hba.conf", "\n".join(["local all all trust", *rules, ""]))
    script = (
        # PostgreSQL takes a key that only it can read.
        "install -o postgres -m 600 /stand-in/server.key /tmp/server.key"
        " && exec docker-entrypoint.sh postgres"
        " -c ssl=on -c ssl_cert_file=/stand-in/server.crt -c ssl_key_file=/tmp/server.key"
        " -c hba_file=/stand-in/pg_hba.conf -c max_connections=520"
    )
    flags = ["--env=POSTGRES_PASSWORD=unused", "--entrypoint=bash", POSTGRES_IMAGE, "-c", script]
    return _run(network, POSTGRES_HOST, folder, flags)


def lay_roles_and_databases(overlay: Overlay, hidden: dict[str, dict[str, str]], container: str) -> None:
    """What CloudNativePG makes of managed roles and Database."""
    statements = [
        f"CREATE ROLE {role['name']} LOGIN PASSWORD '{hidden[role['passwordSecret']['name']]['password']}'"
        for role in overlay.of_kind("Cluster")[0].spec["managed"]["roles"]
    ]
    statements += [
        f"CREATE DATABASE {one['name']} OWNER {one['owner']} TEMPLATE {one['template']}"
        f" ENCODING '{one['encoding']}' LOCALE_PROVIDER {one['localeProvider']}"
        f" BUILTIN_LOCALE '{one['builtinLocale']}' LC_COLLATE '{one['localeCollate']}'"
        f" LC_CTYPE '{one['localeCType']}'"
        for one in (database.spec for database in overlay.of_kind("Database"))
    ]
    commands = [part for statement in statements for part in ("--command", statement)]
    docker("exec", container, "psql", "--username=postgres", "--set=ON_ERROR_STOP=1", *commands)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)
    path.write_text(text)
    path.chmod(0o644)


def _run(network: str, host: str, folder: Path, rest: list[str]) -> str:
    flags = [f"--network={network}", f"--network-alias={host}", f"--volume={folder}:/stand-in:ro"]
    return docker("run", "--detach", *flags, *rest).stdout.strip()
