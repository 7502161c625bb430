"""A verdict names what was violated, and a run that showed nothing is void."""

from dataclasses import replace

import pytest
from tests.chaos.verdict import Happened, promise_of, table, void_reasons
from tests.judging.records import Findings

pytestmark = pytest.mark.unit

WHOLE = Happened(
    seed=7,
    seconds=600.0,
    accepted=15_000,
    calls={("mail", "ok"): 14_000, ("mail", "info"): 3},
    faults={"kafka wiped": 1, "service killed": 60},
    crashes={"effect-commit": 4},
    kills=110,
    server_kills=5,
    repeated=900,
    rebalances=4,
    handed_over=1,
    unknown=3,
)


def test_a_run_in_which_everything_happened_is_not_void() -> None:
    assert void_reasons(WHOLE, ["kafka wiped", "service killed"], ["effect-commit"]) == []


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ({"repeated": 0}, "no record was delivered twice"),
        ({"unknown": 0}, "no call ended unknown"),
        ({"rebalances": 0}, "no group was rebalanced"),
        ({"handed_over": 0}, "no lease was handed over"),
        ({"kills": 0}, "no process was killed"),
        ({"faults": {"service killed": 60}}, "no kafka wiped"),
        ({"crashes": {}}, "no crash at effect-commit"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_run_in_which_something_did_not_happen_is_void(missing: dict[str, object], reason: str) -> None:
    happened = replace(WHOLE, **missing)  # type: ignore[arg-type]
    assert void_reasons(happened, ["kafka wiped", "service killed"], ["effect-commit"]) == [reason]


def test_a_clean_run_tells_the_bound_of_its_kills() -> None:
    findings = Findings()
    findings.check("I1 accepted", True, "")
    told = table(findings, WHOLE)
    assert "| I1 | an accepted message has exactly one effect | 1 | 0 |" in told
    assert "No violation in 115 kills" in told
    assert "3/115 = 2.61%" in told
    assert "CHAOS_SEED=7" in told


def test_a_verdict_tells_how_often_each_check_was_made() -> None:
    findings = Findings()
    for _ in range(1_200):
        findings.check("I6 in 2 s", True, "")
    findings.check("I6 once", True, "")
    assert "Looked at: I6 in 2 s 1,200, I6 once 1." in table(findings, WHOLE)


def test_what_was_violated_is_named_with_ids_to_look_at() -> None:
    findings = Findings()
    for number in range(7):
        findings.check("I6 once", False, f"clock {number}")
    findings.check("one offer", True, "")
    told = table(findings, WHOLE)
    assert "| I6 | a deadline fires once, on time | 7 | 7 |" in told
    assert "Violated: I6." in told
    assert "- I6 once: clock 0" in told
    assert "- and 2 more" in told
    assert "No violation" not in told


def test_checks_belong_to_promises_and_the_rest_to_rules() -> None:
    assert promise_of("I14 sealed") == "I14"
    assert promise_of("one offer") == "rules"
