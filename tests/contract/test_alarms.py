"""Alarms and dashboards: each rests on figures that our code tells, each alarm has its section to read."""

import importlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deskline_chassis.metrics import REGISTRY

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy/kubernetes/monitoring"
PAGE = ROOT / "docs/guides/operate.md"
PAGE_IN_ALARMS = "docs/guides/operate.md#"
FIGURES = ("intake", "routing", "sla", "notify", "gateway")

# Whatever is scraped has these: the PodMonitor writes them.
TARGET = {"service", "instance"}
# Not ours: of kube-state-metrics and the kubelet, with the labels that we use.
FOREIGN = {
    "kube_statefulset_status_replicas_ready": {"namespace", "statefulset"},
    "kube_deployment_status_replicas_available": {"namespace", "deployment"},
    "kube_pod_container_status_restarts_total": {"namespace", "pod", "container"},
    "kube_job_status_failed": {"namespace", "job_name"},
    "kubelet_volume_stats_available_bytes": {"namespace", "persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"namespace", "persistentvolumeclaim"},
}
METRIC = re.compile(r"\b((?:deskline|kube|kubelet|process)_\w+)\s*(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby\s*\(([^)]*)\)")
MATCHED = re.compile(r"\bon\s*\(([^)]*)\)")
ALARM_HEADING = re.compile(r"^### (Deskline\w+)$", re.MULTILINE)


def rules() -> list[dict[str, Any]]:
    found = []
    for path in sorted(MONITORING.glob("alarms-*.yaml")):
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert manifest["kind"] == "PrometheusRule", path
        found += [rule for group in manifest["spec"]["groups"] for rule in group["rules"]]
    return found


def alarm_names() -> list[str]:
    return [rule["alert"] for rule in rules()]


def cases() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = yaml.safe_load((MONITORING / "cases.yaml").read_text("utf-8"))
    return found


@cache
def known() -> dict[str, set[str]]:
    """Each metric that a process of ours tells, with its labels."""
    for service in FIGURES:
        importlib.import_module(f"deskline_{service}.figures")
    found = {
        name: set(getattr(collector, "_labelnames", ()))
        for name, collector in REGISTRY._names_to_collectors.items()
    }
    # The process collector names its figures only when it is asked.
    found |= {
        sample.name: set(sample.labels)
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name.startswith("process_")
    }
    return {
        name: labels | TARGET | ({"le"} if name.endswith("_bucket") else set())
        for name, labels in found.items()
    } | FOREIGN


def problems_of(expression: str) -> Iterator[str]:
    """What an expression names that nothing tells."""
    named = METRIC.findall(expression)
    if not named:
        yield f"names no metric: {expression}"
    labels: set[str] = set()
    for name, selector in named:
        if name not in known():
            yield f"nothing tells {name}"
            continue
        labels |= known()[name]
        for label in re.findall(r"(\w+)\s*[=!]", selector):
            if label not in known()[name]:
                yield f"{name} has no label {label}"
    for listed in (*GROUPED.findall(expression), *MATCHED.findall(expression)):
        for label in re.split(r"\s*,\s*", listed.strip()):
            if label not in labels:
                yield f"no metric of it has the label {label}: {expression}"


def result_labels(expression: str) -> set[str]:
    """Labels that an alarm's text may use: those of the outermost grouping, or all of its metrics."""
    if grouped := GROUPED.search(expression):
        return set(re.split(r"\s*,\s*", grouped[1].strip()))
    if re.match(r"(sum|max|min|absent)\(", expression):
        return set()
    return set().union(*(known()[name] for name, _ in METRIC.findall(expression)))


@pytest.mark.parametrize("alarm", alarm_names())
def test_alarm_rests_on_figures_that_are_told(alarm: str) -> None:
    (rule,) = (rule for rule in rules() if rule["alert"] == alarm)
    assert list(problems_of(rule["expr"])) == []
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    texts = rule["annotations"]
    assert set(texts) == {"summary", "description", "runbook_url"}
    used = set(re.findall(r"\$labels\.(\w+)", texts["summary"] + texts["description"]))
    assert used <= result_labels(rule["expr"])


def test_every_alarm_has_its_section_and_every_section_its_alarm() -> None:
    headings = ALARM_HEADING.findall(PAGE.read_text(encoding="utf-8"))
    assert sorted(headings) == sorted(alarm_names())
    assert len(set(headings)) == len(headings)
    for rule in rules():
        assert rule["annotations"]["runbook_url"] == f"{PAGE_IN_ALARMS}{rule['alert'].lower()}"


def test_each_section_says_how_urgent_its_alarm_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for rule in rules():
        section = page.split(f"### {rule['alert']}\n", 1)[1].lstrip()
        assert section.startswith(f"**{rule['labels']['severity']}**"), rule["alert"]


def test_every_alarm_has_a_case_that_fires_and_one_that_does_not() -> None:
    found = cases()
    assert sorted(found) == sorted(alarm_names())
    assert {name for name, case in found.items() if set(case) != {"fires", "quiet"}} == set()


@pytest.mark.parametrize(
    "path", sorted((MONITORING / "dashboards").glob("*.json")), ids=lambda path: path.stem
)
def test_dashboard_is_sane_and_rests_on_figures_that_are_told(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == f"deskline-{path.stem}"
    assert board["title"].startswith("Deskline: ")
    panels = board["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert len({panel["title"] for panel in panels}) == len(panels)
    variables = {f"${one['name']}" for one in board["templating"]["list"]}
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert list(problems_of(target["expr"])) == [], panel["title"]
            assert set(re.findall(r"\$\w+", target["expr"])) <= variables


def test_kustomization_names_every_manifest_and_dashboard() -> None:
    made = yaml.safe_load((MONITORING / "kustomization.yaml").read_text(encoding="utf-8"))
    manifests = {path.name for path in MONITORING.glob("*.yaml")} - {"kustomization.yaml", "cases.yaml"}
    assert set(made["resources"]) == manifests
    boards = {f"dashboards/{path.name}" for path in (MONITORING / "dashboards").glob("*.json")}
    assert set(made["configMapGenerator"][0]["files"]) == boards


def promtool(folder: Path, *arguments: str) -> str:
    found = shutil.which("promtool")
    assert found, "promtool is missing: it comes with Debian's package prometheus (make test-extra)"
    done = subprocess.run(
        [found, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def written_rules(folder: Path) -> Path:
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules()}]}), encoding="utf-8")
    return path


@pytest.mark.extra
def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    told = promtool(tmp_path, "check", "rules", written_rules(tmp_path).name)
    assert f"SUCCESS: {len(rules())} rules found" in told


def as_promtool_wants_it(alarm: str, kind: str, series: list[str]) -> dict[str, Any]:
    firing = f'ALERTS{{alertname="{alarm}", alertstate="firing"}}'
    expected = [{"labels": f'{{alertname="{alarm}"}}', "value": 1}] if kind == "fires" else []
    return {
        "name": f"{alarm} {kind}",
        "interval": "1m",
        "input_series": [
            {"series": f"{name}}}", "values": values} for name, values in (one.split("} ") for one in series)
        ],
        "promql_expr_test": [
            {"expr": f"group by (alertname) ({firing})", "eval_time": "40m", "exp_samples": expected}
        ],
    }


@pytest.mark.extra
def test_alarms_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    suite = {
        "rule_files": [written_rules(tmp_path).name],
        "evaluation_interval": "1m",
        "tests": [
            as_promtool_wants_it(alarm, kind, series)
            for alarm, case in cases().items()
            for kind, series in case.items()
        ],
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert "SUCCESS" in promtool(tmp_path, "test", "rules", "suite.yaml")
