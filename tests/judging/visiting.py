"""A site that others used too: its topics and stores against what senders and operators were answered."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import psycopg
from tests.judging import commands, deadlines, messages, notifications, offers, records
from tests.judging.commands import Given
from tests.judging.everything import TIMES, ends_of
from tests.judging.records import Findings
from tests.judging.settling import OWNERS, READS, quiet
from tests.judging.site import Site
from tests.judging.waiting import until

QUIET_SECONDS = 120.0


class Operator(Protocol):
    """Somebody who gave commands, each with its definite answer."""

    given: list[Given]


def judge(
    site: Site,
    accepted: Iterable[str],
    unknown: Iterable[str],
    operators: Iterable[Operator],
    *,
    repeats: int = 0,
) -> Findings:
    """`repeats`: how many mails may have gone out twice, as who sent or took them was killed meanwhile.

    Topics and stores are of one moment: nothing was announced while they were read, as happens where an
    operator's presence ends.
    """
    accepted, unknown, operators = list(accepted), list(unknown), list(operators)
    for _ in range(TIMES):
        until("everything applied and told", partial(quiet, site), QUIET_SECONDS)
        before = ends_of(site.bootstrap)
        findings = _judge(site, accepted, unknown, operators, repeats)
        if ends_of(site.bootstrap) == before:
            return findings
    raise AssertionError(f"something was announced each of {TIMES} times that everything was read")


def _judge(
    site: Site, accepted: list[str], unknown: list[str], operators: list[Operator], repeats: int
) -> Findings:
    findings = Findings()
    topics = {owner: records.published(site.bootstrap, f"deskline.{owner}.events") for owner in OWNERS}
    keys = records.person_keys(site.bootstrap, "deskline.intake.keys", site.key_encryption_key)
    for owner, found in topics.items():
        records.check_order(findings, found)
        records.check_store(findings, found, site.owner_url(owner))
    effects = messages.effects_by_mail(topics["tickets"], keys)
    messages.check_effects(findings, accepted, unknown, effects)
    # Others were here before us and gave commands of their own, on tickets of their own.
    mine = {event.stream for mail in accepted for event in effects[mail]}
    given = [one for operator in operators for one in operator.given if one.ticket_id in mine]
    commands.check_commands(findings, given, [one for one in topics["tickets"] if one.stream in mine])
    deadlines.check_firings(findings, topics["sla"], topics["tickets"])
    deadlines.check_all_fired(findings, topics["sla"], datetime.now(UTC))
    notifications.check_notifications(
        findings, topics["notify"], topics["tickets"], site.letters(), repeats=repeats
    )
    offers.check_offers(findings, topics["tickets"])
    offers.check_routed(findings, topics["tickets"])
    for reader in READS:
        with psycopg.connect(site.owner_url(reader)) as connection:
            parked = connection.execute("SELECT subject, sequence FROM parked_records").fetchall()
        findings.check("I9 parked", not parked, f"{reader} parked {parked[:5]}")
    return findings
