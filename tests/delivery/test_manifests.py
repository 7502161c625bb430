"""The manifests as they are written: schemas, the rules of the house, topics, figures of alarms."""

import json
import re
from pathlib import Path

import pytest
import yaml
from tests.contract.kafka_resources import TOPICS_FILE, files
from tests.delivery import rules
from tests.delivery.figures import declared, expressions_in, unknown_in
from tests.delivery.manifests import (
    KUBERNETES,
    OTHERS,
    OVERLAYS,
    Manifest,
    containers,
    is_patch,
    kustomizations,
    labels_of,
    leaves,
    patch_files,
    pod_template,
    resource_files,
    source_files,
    sources,
    workloads,
)
from tests.delivery.schemas import NEWEST, OLDEST, problems_of

from deskline_events.topics import all_topics

pytestmark = pytest.mark.unit

BASE = KUBERNETES / "base"
DASHBOARDS = sorted((KUBERNETES / "monitoring" / "dashboards").glob("*.json"))


def _within(*folders: str) -> tuple[Manifest, ...]:
    places = tuple(f"deploy/kubernetes/{folder}/" for folder in folders)
    return tuple(one for one in sources() if one.place.startswith(places) and not is_patch(one))


def _said_in(path: Path) -> tuple[Manifest, ...]:
    return tuple(Manifest(path.name, document) for document in yaml.safe_load_all(path.read_text()))


def test_every_file_is_named_by_a_kustomization() -> None:
    written = {path for path in source_files() if path.name != "kustomization.yaml"} - OTHERS
    assert written == (resource_files() | patch_files()) - set(kustomizations())


def test_every_document_fits_its_schema() -> None:
    assert (OLDEST, NEWEST) == ("1.30", "1.37")
    found = sources()
    assert len(found) > 100
    assert [problem for one in found for problem in problems_of(one, partial=is_patch(one))] == []


def test_no_secret_is_in_the_repository() -> None:
    assert list(rules.no_secret_is_written_down(sources())) == []


def test_nothing_is_given_away_by_any_document() -> None:
    given = [
        f"{one}: {path} is {value}"
        for one in sources()
        for path, value in leaves(one.document)
        if rules.gives_away(path, value)
    ]
    assert given == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_workload_has_its_policies_and_its_budget(overlay: str) -> None:
    manifests = _within("base", f"overlays/{overlay}")
    assert len(workloads(manifests)) >= 14
    assert list(rules.network_is_closed(manifests)) == []
    assert list(rules.replicas_have_budgets(manifests)) == []


def test_pods_of_servers_keep_the_rules_as_they_are_written() -> None:
    servers = tuple(one for one in _within("overlays") if pod_template(one) is not None)
    assert {one.name for one in servers} == {"kafka", "postgres", "mailbox"}
    assert [problem for rule in rules.OF_EVERY_POD for problem in rule(servers)] == []


def test_the_base_lays_its_rules_over_every_workload() -> None:
    targets = {patch["path"]: patch["target"] for patch in kustomizations()[BASE]["patches"]}
    kinds = {one.kind for one in workloads(_within("base"))}
    assert all(re.fullmatch(targets["pod.yaml"]["kind"], kind) for kind in kinds)
    assert all(re.fullmatch(targets["serving.yaml"]["kind"], kind) for kind in kinds - {"Job"})
    assert set(targets["pod.yaml"]) == set(targets["serving.yaml"]) == {"kind"}
    pod, serving, preparing = (_said_in(BASE / f"{name}.yaml") for name in ("pod", "serving", "preparing"))
    for rule in (
        rules.pods_are_restricted,
        rules.roots_are_read_only,
        rules.pods_know_nothing_of_the_cluster,
    ):
        assert list(rule(pod)) == []
    assert list(rules.servers_have_probes(serving)) == []
    assert list(rules.resources_are_said(serving)) == []
    assert list(rules.resources_are_said(preparing)) == []


def test_services_of_the_base_take_back_nothing_that_it_lays_over_them() -> None:
    theirs = {"securityContext", "automountServiceAccountToken", "enableServiceLinks", "hostNetwork"}
    for one in workloads(_within("base")):
        template = pod_template(one) or {}
        for part in (template["spec"], *containers(template)):
            assert not theirs & set(part), str(one)
        assert labels_of(template)["app.kubernetes.io/component"] in {"service", "prepare"}


def test_topics_and_rights_are_those_of_the_code() -> None:
    for path, text in files().items():
        assert path.read_text() == text, f"{path.name}: python -m tests.contract.kafka_resources"
    topics = {one.name: one.spec for one in _said_in(TOPICS_FILE)}
    assert set(topics) == {topic.name for topic in all_topics()}
    for topic in all_topics():
        assert topics[topic.name]["partitions"] == (topic.partitions or 24)
        assert topics[topic.name]["config"] == topic.config


def test_alarms_read_figures_that_the_processes_have() -> None:
    known = declared()
    ours = [one for one in sources() if one.kind == "PrometheusRule"]
    assert sum(1 for one in ours for _ in expressions_in(one.document)) > 10
    assert [f"{one}: {name}" for one in ours for name in unknown_in(one.document, known)] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_read_figures_that_the_processes_have(dashboard: Path) -> None:
    said = json.loads(dashboard.read_text())
    assert list(expressions_in(said))
    assert unknown_in(said, declared()) == []
