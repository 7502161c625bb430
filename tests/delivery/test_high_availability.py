"""What `high-availability` promises: nothing acknowledged hangs on one machine, and its parts agree."""

from typing import Any

import pytest
from tests.contract.kafka_resources import SCALER, SERVICES, groups_of, written_by
from tests.delivery.manifests import KUBERNETES, ROOT, Manifest, kustomizations, pod_template, sources
from tests.delivery.references import BY_HAND

from deskline_chassis.settings import ServiceSettings

pytestmark = pytest.mark.unit

HERE = KUBERNETES / "overlays" / "high-availability"
GUIDE = ROOT / "docs" / "guides" / "high-availability.md"
# Beside its pool: the relay, its bell, and what a command or a check opens.
BESIDE_THE_POOL = 4


def _all(kind: str) -> list[Manifest]:
    return [one for one in sources() if one.kind == kind]


def _only(kind: str) -> Manifest:
    (found,) = _all(kind)
    return found


def _settings() -> dict[str, str]:
    lines = (HERE / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def _replicas() -> dict[str, int]:
    said = {one["name"]: int(one["count"]) for one in kustomizations()[HERE]["replicas"]}
    return said | {one.name: int(one.spec["maxReplicaCount"]) for one in _all("ScaledObject")}


def test_a_record_is_acknowledged_by_two_of_three() -> None:
    config: dict[str, Any] = _only("Kafka").spec["kafka"]["config"]
    nodes = _only("KafkaNodePool").spec["replicas"]
    assert nodes == 3
    assert config["min.insync.replicas"] == 2
    assert not config["auto.create.topics.enable"]
    assert not config["unclean.leader.election.enable"]
    for name in ("default", "offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        assert config[f"{name}.replication.factor"] == nodes
    assert {one.spec["replicas"] for one in _all("KafkaTopic")} == {nodes}


def test_a_commit_waits_for_a_standby() -> None:
    spec = _only("Cluster").spec
    assert spec["instances"] == 3
    wanted = {"method": "any", "number": 1, "dataDurability": "required", "failoverQuorum": True}
    assert spec["postgresql"]["synchronous"] == wanted
    assert spec["affinity"]["podAntiAffinityType"] == "required"


def test_settings_agree_with_the_servers() -> None:
    said = _settings()
    partitions = {one.spec["partitions"] for one in _all("KafkaTopic") if "watermarks" not in one.name}
    assert partitions == {int(said["DESKLINE_PARTITIONS"])} == {24}
    assert int(said["DESKLINE_REPLICATION"]) == _only("KafkaNodePool").spec["replicas"]
    assert said["DESKLINE_MANAGE_TOPICS"] == "false"
    assert said["DESKLINE_KAFKA_SECURITY"] == "SASL_SSL"
    (listener,) = _only("Kafka").spec["kafka"]["listeners"]
    assert (listener["tls"], listener["authentication"]["type"]) == (True, "scram-sha-512")
    assert said["DESKLINE_KAFKA"] == f"{_only('Kafka').name}-kafka-bootstrap:{listener['port']}"
    assert said["DESKLINE_INTAKE_OBJECT_STORE"].startswith("s3://")


def test_every_service_has_three_pods_and_no_group_more_members_than_partitions() -> None:
    counts = {one["name"]: one["count"] for one in kustomizations()[HERE]["replicas"]}
    assert counts == dict.fromkeys(SERVICES, 3)
    assert max(_replicas().values()) <= int(_settings()["DESKLINE_PARTITIONS"])


def test_every_reader_is_scaled_by_its_own_group() -> None:
    readers = {service for service in SERVICES if groups_of(service)}
    scaled = {one.name: one.spec for one in _all("ScaledObject")}
    assert set(scaled) == readers == {"tickets", "routing", "sla", "notify", "analytics"}
    kafka = _settings()["DESKLINE_KAFKA"]
    for service, spec in scaled.items():
        target = spec["scaleTargetRef"]
        assert (target["kind"], target["name"]) == ("StatefulSet", service)
        assert spec["minReplicaCount"] == 3
        (trigger,) = spec["triggers"]
        assert trigger["metadata"]["consumerGroup"] == groups_of(service)[0]
        host, port = kafka.split(":")
        assert trigger["metadata"]["bootstrapServers"] == f"{host}.deskline.svc:{port}"
        assert trigger["authenticationRef"]["name"] == _only("TriggerAuthentication").name


def test_postgres_has_sessions_for_all_pods_at_once() -> None:
    pool = ServiceSettings.model_fields["pool_size"].default
    # One more of the gateway while it is rolled, and the operator's own.
    needed = (sum(_replicas().values()) + 1) * (pool + BESIDE_THE_POOL) + 20
    assert needed <= int(_only("Cluster").spec["postgresql"]["parameters"]["max_connections"])


def test_each_database_is_its_services_own() -> None:
    spec = _only("Cluster").spec
    *doors, last = spec["postgresql"]["pg_hba"]
    assert last == "host all all all reject"
    roles = {role["name"]: role for role in spec["managed"]["roles"]}
    assert set(roles) == {f"{name}_{role}" for name in SERVICES for role in ("owner", "runtime", "readonly")}
    databases = {one.name: one.spec for one in _all("Database")}
    assert set(databases) == set(SERVICES)
    for service, door in zip(SERVICES, doors, strict=True):
        own = [f"{service}_{role}" for role in ("owner", "runtime", "readonly")]
        assert door == f"hostssl deskline_{service} {','.join(own)} all scram-sha-256"
        for role in own:
            assert roles[role]["passwordSecret"]["name"] == role.replace("_", "-")
            assert not {"superuser", "createdb", "createrole", "replication"} & set(roles[role])
        database = databases[service]
        assert (database["name"], database["owner"]) == (f"deskline_{service}", f"{service}_owner")
        locale = ("encoding", "localeProvider", "builtinLocale", "localeCollate", "localeCType")
        # ADR 0012.
        assert [database[key] for key in locale] == ["UTF8", "builtin", "C.UTF-8", "C", "C.UTF-8"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_enters_as_itself(service: str) -> None:
    parts = [one for one in sources() if f"high-availability/services/{service}.yaml" in one.place]
    assert {one.kind for one in parts} == {"Job", "Deployment" if service == "gateway" else "StatefulSet"}
    for one in parts:
        ((container,),) = ((pod_template(one) or {})["spec"]["containers"],)
        variables = {variable["name"]: variable for variable in container["env"]}
        role, url = ("owner", "MIGRATION_URL") if one.kind == "Job" else ("runtime", "DATABASE_URL")
        assert variables[f"DESKLINE_{service.upper()}_{url}"]["value"] == (
            f"postgresql://{service}_{role}:$(DATABASE_PASSWORD)@postgres-rw:5432/deskline_{service}"
            "?sslmode=verify-full&sslrootcert=/etc/deskline/postgres/ca.crt"
        )
        password = variables["DATABASE_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"]
        assert password == f"{service}-{role}"
        assert variables["DESKLINE_KAFKA_USERNAME"]["value"] == service
        kafka = variables["DESKLINE_KAFKA_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"]
        assert kafka == f"kafka-{service}"


def test_nobody_but_its_owner_writes_a_topic() -> None:
    users = {one.name: one.spec["authorization"]["acls"] for one in _all("KafkaUser")}
    assert set(users) == {*SERVICES, SCALER}
    for user, acls in users.items():
        written = {acl["resource"]["name"] for acl in acls if "Write" in acl["operations"]}
        assert written == ({topic.name for topic in written_by(user)} if user in SERVICES else set())
        operations = {operation for acl in acls for operation in acl["operations"]}
        assert operations <= {"Describe", "Read", "Write"}
        if user == SCALER:
            assert operations == {"Describe"}
        else:
            assert {acl["resource"]["patternType"] for acl in acls} == {"literal"}


def test_the_guide_names_what_has_to_be_set() -> None:
    text = GUIDE.read_text()
    for secret, keys in BY_HAND["high-availability"].items():
        assert all(f"`{word}`" in text for word in (secret, *keys)), secret
    for setting in _settings():
        if not setting.startswith("DESKLINE_KAFKA") and setting not in {
            "DESKLINE_PARTITIONS",
            "DESKLINE_REPLICATION",
            "DESKLINE_MANAGE_TOPICS",
        }:
            assert f"`{setting}`" in text, setting
    (store,) = (one for one in _all("ObjectStore"))
    assert store.spec["configuration"]["destinationPath"] in text
