"""The rules and schemas themselves: each sees what it is there for."""

import copy
import re

import pytest
import yaml
from tests.delivery import rules
from tests.delivery.figures import asked_by, declared, unknown_in
from tests.delivery.manifests import Document, Manifest, leaves, sources
from tests.delivery.operators import UnknownFieldError, shapes_of
from tests.delivery.schemas import problems_of, shapes

pytestmark = pytest.mark.unit

GOOD = yaml.safe_load("""
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: good, namespace: deskline, labels: {app.kubernetes.io/part-of: deskline}}
spec:
  replicas: 2
  serviceName: good
  selector: {matchLabels: {app.kubernetes.io/name: good}}
  template:
    metadata:
      labels: {app.kubernetes.io/name: good, app.kubernetes.io/part-of: deskline}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: service
          image: deskline-good:1.0
          imagePullPolicy: IfNotPresent
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          env: [{name: LEVEL, value: INFO}]
          startupProbe: {httpGet: {path: /healthz, port: 8080}}
          livenessProbe: {httpGet: {path: /healthz, port: 8080}}
          readinessProbe: {httpGet: {path: /readyz, port: 8080}}
          resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 64Mi}}
      volumes: [{name: tmp, emptyDir: {}}]
""")
AROUND = tuple(
    Manifest("around", document)
    for document in yaml.safe_load_all("""
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: good, namespace: deskline, labels: {app.kubernetes.io/part-of: deskline}}
spec: {maxUnavailable: 1, selector: {matchLabels: {app.kubernetes.io/name: good}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: deskline, labels: {app.kubernetes.io/part-of: deskline}}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: good, namespace: deskline, labels: {app.kubernetes.io/part-of: deskline}}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/name: good}}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: 8080}]}]
""")
)
POD = "spec.template.spec"
ONE = f"{POD}.containers.0"

# The rule, where something is changed, and to what; None takes it away.
BREAKS = [
    (rules.pods_are_restricted, f"{POD}.securityContext.runAsNonRoot", False),
    (rules.pods_are_restricted, f"{POD}.securityContext.runAsUser", 0),
    (rules.pods_are_restricted, f"{POD}.securityContext.runAsUser", None),
    (rules.pods_are_restricted, f"{POD}.securityContext.seccompProfile", None),
    (rules.pods_are_restricted, f"{POD}.hostNetwork", True),
    (rules.pods_are_restricted, f"{POD}.volumes", [{"name": "disk", "hostPath": {"path": "/"}}]),
    (rules.pods_are_restricted, f"{ONE}.securityContext.allowPrivilegeEscalation", None),
    (rules.pods_are_restricted, f"{ONE}.securityContext.privileged", True),
    (rules.pods_are_restricted, f"{ONE}.securityContext.capabilities", {"drop": ["NET_RAW"]}),
    (rules.pods_are_restricted, f"{ONE}.securityContext.capabilities.add", ["NET_ADMIN"]),
    (rules.pods_are_restricted, f"{ONE}.securityContext.runAsUser", 0),
    (rules.roots_are_read_only, f"{ONE}.securityContext.readOnlyRootFilesystem", None),
    (rules.resources_are_said, f"{ONE}.resources.limits.memory", None),
    (rules.resources_are_said, f"{ONE}.resources.requests", None),
    (rules.servers_have_probes, f"{ONE}.startupProbe", None),
    (rules.servers_have_probes, f"{ONE}.livenessProbe", None),
    (rules.servers_have_probes, f"{ONE}.livenessProbe.httpGet.path", "/readyz"),
    (rules.servers_have_probes, f"{ONE}.readinessProbe", None),
    (rules.images_are_fixed, f"{ONE}.image", "deskline-good"),
    (rules.images_are_fixed, f"{ONE}.image", "deskline-good:latest"),
    (rules.images_are_fixed, f"{ONE}.imagePullPolicy", "Always"),
    (rules.pods_know_nothing_of_the_cluster, f"{POD}.automountServiceAccountToken", None),
    (rules.pods_know_nothing_of_the_cluster, f"{POD}.enableServiceLinks", True),
    (rules.no_secret_is_written_down, f"{ONE}.env", [{"name": "KAFKA_PASSWORD", "value": "hunter2"}]),
    (rules.no_secret_is_written_down, f"{ONE}.env", [{"name": "U", "value": "postgresql://a:hunter2@b/c"}]),
    (rules.replicas_have_budgets, "spec.template.metadata.labels", {"app.kubernetes.io/name": "other"}),
    (rules.network_is_closed, "spec.template.metadata.labels", {"app.kubernetes.io/name": "other"}),
    (rules.labels_are_sane, "spec.template.metadata.labels", {"app.kubernetes.io/name": "other"}),
    (rules.labels_are_sane, "spec.selector", {"matchLabels": {"app.kubernetes.io/name": "other"}}),
    (rules.labels_are_sane, "metadata.namespace", "default"),
    (rules.labels_are_sane, "metadata.labels", None),
]


def _changed(document: Document, path: str, value: object) -> Manifest:
    changed = copy.deepcopy(document)
    *inner, last = path.split(".") if "labels" not in path else path.split(".", 3)
    place = changed
    for key in inner:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return Manifest("changed", changed)


def test_what_is_good_passes_every_rule() -> None:
    manifests = (Manifest("good", GOOD), *AROUND)
    assert [problem for rule in rules.OF_AN_OVERLAY for problem in rule(manifests)] == []
    assert [problem for one in manifests for problem in problems_of(one)] == []


@pytest.mark.parametrize(
    ("rule", "path", "value"), BREAKS, ids=[f"{rule.__name__}-{at}" for at, (rule, *_) in enumerate(BREAKS)]
)
def test_each_rule_sees_what_breaks_it(rule: rules.Rule, path: str, value: object) -> None:
    assert list(rule((_changed(GOOD, path, value), *AROUND)))


def test_a_policy_or_a_budget_that_is_missing_is_seen() -> None:
    good = Manifest("good", GOOD)
    budget, deny, policy = AROUND
    assert list(rules.replicas_have_budgets((good, deny, policy)))
    assert list(rules.replicas_have_budgets((good, _changed(budget.document, "spec.maxUnavailable", 0))))
    assert list(rules.network_is_closed((good, budget, policy)))
    assert list(rules.network_is_closed((good, budget, deny)))
    half = _changed(deny.document, "spec.policyTypes", ["Ingress"])
    assert list(rules.network_is_closed((good, half, policy)))


def test_a_right_is_seen_wherever_it_is_given() -> None:
    for path, value in (
        (f"{ONE}.securityContext.readOnlyRootFilesystem", False),
        (f"{ONE}.securityContext.capabilities.add", ["NET_ADMIN"]),
        (f"{POD}.volumes", [{"name": "disk", "hostPath": {"path": "/"}}]),
    ):
        changed = _changed(GOOD, path, value)
        assert [at for at, leaf in leaves(changed.document) if rules.gives_away(at, leaf)], path
    assert not [at for at, leaf in leaves(GOOD) if rules.gives_away(at, leaf)]


def test_a_secret_with_its_values_is_seen() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    assert list(rules.no_secret_is_written_down((Manifest("s", secret),)))
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"X_SECRET": "b"}}
    assert list(rules.no_secret_is_written_down((Manifest("s", settings),)))


def test_schemas_see_an_unknown_field_a_wrong_type_and_an_unknown_kind() -> None:
    for path, value in (
        ("spec.replicaz", 3),
        (f"{ONE}.imagePulPolicy", "Always"),
        ("spec.replicas", "two"),
        ("spec.selector", None),
    ):
        assert problems_of(_changed(GOOD, path, value)), path
    assert problems_of(_changed(GOOD, "kind", "StatefulSets"))
    assert problems_of(_changed(GOOD, "apiVersion", "example.org/v1"))
    part = _changed(GOOD, "spec.selector", None)
    assert problems_of(part)
    assert problems_of(part, partial=True) == []
    assert problems_of(_changed(GOOD, "spec.replicaz", 3), partial=True)


def test_schemas_of_operators_see_an_unknown_field_and_one_that_is_missing() -> None:
    (kafka,) = [one for one in sources() if one.kind == "Kafka"]
    assert problems_of(kafka) == []
    assert problems_of(_changed(kafka.document, "spec.kafka.listenerz", []))
    assert problems_of(_changed(kafka.document, "spec.kafka.listeners", None))
    assert problems_of(_changed(kafka.document, "spec.kafka.listeners.0.type", "everywhere"))
    assert all(re.fullmatch(r"[A-Za-z]+-\d+\.\d+\.\d+", shape["from"]) for shape in shapes().values())


def test_a_field_that_a_crd_has_not_is_refused_when_shapes_are_read() -> None:
    with pytest.raises(UnknownFieldError, match="no CRD"):
        shapes_of({})
    strict = {key: ("x-1.0.0", {"type": "object", "properties": {}}) for key in shapes()}
    with pytest.raises(UnknownFieldError, match="has no"):
        shapes_of(strict)


def test_metrics_of_an_expression_are_found() -> None:
    said = (
        'sum by (service) (rate(deskline_a_total{x="deskline_no"}[5m])) / on (pod) group_left(team) '
        "(deskline_b and deskline_c > bool 1) unless deskline_d offset 5m"
    )
    assert asked_by(said) == {"deskline_a_total", "deskline_b", "deskline_c", "deskline_d"}
    rule = {
        "groups": [
            {"rules": [{"record": "own:series", "expr": "deskline_outbox_depth"}, {"expr": "own:series"}]}
        ]
    }
    assert unknown_in(rule, declared()) == []
    assert unknown_in({"expr": "deskline_outbox_dept > 1"}, declared()) == [
        "deskline_outbox_dept in: deskline_outbox_dept > 1"
    ]
