"""What came of a chaos run, held against every promise."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.chaos.run import QUIET_SECONDS, REPLICAS, Run, say
from tests.chaos.workload import address, canary
from tests.judging import (
    applying,
    commands,
    deadlines,
    erasure,
    everything,
    messages,
    notifications,
    offers,
    records,
    sharing,
)
from tests.judging.everything import Topics
from tests.judging.records import Findings
from tests.judging.settling import OWNERS, READS, quiet
from tests.judging.waiting import until

from deskline_local.deployment import SERVICES

# A judge that looks at nothing finds nothing.
LOOKED_AT = {
    *("I1 accepted", "I1 unknown", "I1 source", "I2 kept", "I2 no other", "I2 once", "I2 refused"),
    *("I2 same answer", "I3 order", "I3 repeats", "I3 store", "I4 complete"),
    *("I5 position", "I5 streams", "I5 waiting", "I5 once", "I5 answered", "I5 order", "I5 redelivered"),
    *("I6 all fired", "I6 not early", "I6 once", "I6 no false breach", "I6 in 2 s", "I6 in 5 s"),
    *("I7 acknowledged", "I7 once", "I7 reply", "I7 wire"),
    *("I8 tickets", "I8 routing", "I8 load", "I8 sla", "I8 sla met", "I8 sla due", "I8 notify"),
    *("I8 intents", "I8 analytics", "I8 rebuilt", "I9 parked", "I9 cause", "I9 it alone", "I9 flow"),
    *("I12 in 30 s", "I12 at all", "I12 stays", "I14 key", "I14 sealed", "I14 control", "I14 files"),
    *("I16 quiet", "I16 before", "one offer", "routed", "work shared", "logs"),
}
ASKED_AGAIN = 10
_TABLE = re.compile(r"^rebuild: (\w+): equal,", re.MULTILINE)
_DIFFERENT = re.compile(r"^rebuild: (\w+): different,", re.MULTILINE)
_ONLY_LIVE = re.compile(r"^rebuild:   \w+ ([0-9a-f-]{36}): ", re.MULTILINE)
SENDERS_USE = ("postgres", "mailbox")
READERS_USE = ("postgres", "kafka")
TRACED = ("gateway", "intake", *READS)


def judge(run: Run) -> Findings:
    """Everything, in the order in which one thing leaves the next as it was."""
    say("judging")
    run.watch.stop()
    found, _ = everything.at_rest(
        run.links.system, run.nemesis.done.planted, QUIET_SECONDS, lambda *given: _judge_at_rest(run, *given)
    )
    findings = Findings()
    for one in (found, run.nemesis.findings):
        _add(findings, one)
    told: set[str] = set()
    _tell(findings, told)
    for what, check in (
        ("work is shared", _check_shared),
        ("the same answers", _check_same_answers),
        ("erasure", _check_erasure),
        ("silence while everything is announced anew", _check_silence),
        ("a rebuild", _check_rebuilt),
        ("logs", _check_logs),
    ):
        say(f"judging: {what}")
        check(run, findings)
        _tell(findings, told)
    return findings


def _tell(findings: Findings, told: set[str]) -> None:
    """What is violated so far: who waits need not wait for it."""
    for check, wrong in findings.wrong.items():
        if wrong and check not in told:
            told.add(check)
            say(f"  {check}: {len(wrong)} of {findings.checked[check]}, as {wrong[:3]}")


def _add(findings: Findings, more: Findings) -> None:
    findings.checked.update(more.checked)
    for promise, wrong in more.wrong.items():
        findings.wrong[promise] += wrong


def _judge_at_rest(run: Run, findings: Findings, topics: Topics) -> None:
    """What depends on what clients were told, and read models; the readers are judged by `everything`."""
    _judge_messages(run, findings, topics)
    commands.check_commands(findings, run.given, topics["tickets"])
    deadlines.check_firings(findings, topics["sla"], topics["tickets"])
    deadlines.check_all_fired(findings, topics["sla"], datetime.now(UTC))
    died = [moment for moments in run.watch.deaths.values() for moment in moments]
    calms = deadlines.undisturbed(run.nemesis.done.calms, died)
    latest = deadlines.check_punctual(findings, topics["sla"], calms)
    _judge_notifications(run, findings, topics)
    offers.check_offers(findings, topics["tickets"])
    say("judging: read models")
    everything.judge_read_models(findings, run.links.system, topics, run.office.admin)
    done = run.nemesis.done
    announcing = [at for announced in done.announced for at in announced.moments]
    deaths = {reader: run.moments_of(reader, READERS_USE) + announcing for reader in READS}
    went = everything.judge_poison(
        findings, run.links.system, topics, done.planted, deaths, losses=done.losses
    )
    say(f"  {went}; fired at the latest {latest}; {applying.repeats(topics)} records twice on topics")


def _judge_messages(run: Run, findings: Findings, topics: Topics) -> None:
    system, ledger = run.links.system, run.crowd.ledger
    keys = records.person_keys(system.bootstrap, everything.KEYS, system.key_encryption_key)
    by_mail = messages.effects_by_mail(topics["tickets"], keys)
    by_source = messages.effects_by_source(topics["tickets"])
    line = run.crowd.doors.form_line
    sources = {key: messages.source_of_form(line, key) for key in ledger.messages if not key.startswith("<")}
    by_form = {key: by_source[source] for key, source in sources.items() if source in by_source}
    for kind, effects in (("mail", by_mail), ("form", by_form)):
        fates = [ledger.of(kind, fate) for fate in ("ok", "info", "fail")]
        messages.check_effects(findings, fates[0], fates[1], effects, refused=fates[2])
    ours = set(by_mail) | set(by_form)
    findings.check("I1 no other", ours <= ledger.messages.keys(), f"{ours - ledger.messages.keys()}"[:300])
    all_sources = sum(map(len, by_source.values()))
    known = sum(map(len, by_mail.values())) + sum(map(len, by_form.values()))
    findings.check("I1 no other", all_sources == known, f"{all_sources} effects, {known} of messages of ours")


def _judge_notifications(run: Run, findings: Findings, topics: Topics) -> None:
    system = run.links.system
    # What is in the way of one of them is in the way of all, since they use the same servers.
    senders = sorted(run.moments_of("notify", SENDERS_USE) * REPLICAS)
    most = len(senders) * notifications.REPEATS_PER_DEATH
    letters = system.letters()
    notifications.check_notifications(findings, topics["notify"], topics["tickets"], letters, most)
    arrived = notifications.arrivals(system.mailbox.folder)
    again = notifications.check_repeats(findings, topics["notify"], arrived, senders)
    say(f"  {len(letters)} mails sent, {again} of them again")


def _check_shared(run: Run, findings: Findings) -> None:
    """After everything both members of each group have something to do."""
    try:
        until("work is shared", lambda: _is_shared(run), 30)
    except AssertionError as late:
        findings.check("work shared", False, str(late))
    else:
        findings.check("work shared", True, "")


def _is_shared(run: Run) -> bool:
    try:
        sharing.check_work_is_shared(run.links.system, REPLICAS)
    except AssertionError:
        return False
    return True


def _check_same_answers(run: Run, findings: Findings) -> None:
    """I2: the same Idempotency-Key gives the same answer, after everything; a refusal the same refusal."""
    for operator in run.operators:
        for one in [given for given in operator.given if given.outcome == "ok"][:ASKED_AGAIN]:
            answer = operator.again(one)
            same = answer == (one.status, one.answer)
            findings.check("I2 same answer", same, f"{one.what} {one.key}: {answer[0]}, was {one.status}")
        for one in [given for given in operator.given if given.outcome == "fail"][:ASKED_AGAIN]:
            status, answer_again = operator.again(one)
            same = (status, answer_again.get("code")) == (one.status, one.answer["code"])
            was = f"{one.status} {one.answer['code']}"
            findings.check("I2 same answer", same, f"{one.what} {one.key}: {status}, was {was}")


def _contact_of(run: Run, person: int) -> str:
    found = run.office.admin.post("/v1/contacts/find", {"address": address(person)})
    return str(UUID(found["contact_id"]))


def _check_erasure(run: Run, findings: Findings) -> None:
    """I14: one customer is erased; another one's words show that the judge can open what is sealed."""
    system = run.links.system
    # Of the first and the last, since what is old lies elsewhere than what is new.
    erased, kept = run.crowd.ledger.threads[0].person, run.crowd.ledger.threads[-1].person
    person, other = _contact_of(run, erased), _contact_of(run, kept)
    run.office.admin.post(f"/v1/contacts/{person}/erase", {})
    words = [canary(erased), f"customer{erased}@"]
    urls = {service: system.owner_url(service) for service in SERVICES}

    def gone() -> bool:
        return not any(erasure.readable_in_database(url, words) for url in urls.values())

    until("the erased words gone from every table", gone, QUIET_SECONDS)
    until("the erasure applied", lambda: quiet(system), QUIET_SECONDS)
    topics = everything.read_topics(system, run.nemesis.done.planted)
    everything.judge_erasure(findings, system, topics, {person: canary(erased), other: canary(kept)}, words)
    folder = system.folder
    traces = system.deployment.trace_file
    files = [*(folder / "logs").glob("*.log"), *(folder / "objects").rglob("*"), traces]
    left = erasure.readable_in_files(files, words)
    findings.check("I14 files", not left, f"{left}")
    # What was looked through was not empty.
    spans = everything.spans_of(TRACED, _spans(run))
    findings.check("I14 files", all(spans.values()), f"spans {spans}")


def _spans(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in run.links.system.deployment.trace_file.read_text(errors="replace").splitlines():
        # Who is killed while writing leaves half a line.
        if line.startswith("{") and line.endswith("}"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


def _check_silence(run: Run, findings: Findings) -> None:
    """I16, I5: announced anew, applied anew: nobody is told of it, and nothing is changed by it."""
    system = run.links.system
    planted = run.nemesis.done.planted
    before = [letter.message_id for letter in system.letters()]
    own = {
        owner: {record.id for record in found}
        for owner, found in everything.read_topics(system, planted).items()
    }
    for owner in OWNERS:
        system.command(owner, "republish")

    def judge_again(again: Findings, topics: Topics) -> None:
        everything.judge_read_models(again, system, topics, run.office.admin)
        for owner, found in topics.items():
            repeats = applying.repeats({owner: found})
            again.check("I5 redelivered", repeats >= len(own[owner]), f"{owner}: {repeats} repeats")
        now = [letter.message_id for letter in system.letters()]
        again.check("I16 before", now[: len(before)] == before, "other mails than before")
        known = set().union(*own.values())
        notifications.check_quiet(again, topics["notify"], now[len(before) :], known)
        again.check("I16 quiet", len(now) == len(before), f"{len(now) - len(before)} mails more")

    found, _ = everything.at_rest(system, planted, QUIET_SECONDS, judge_again)
    _add(findings, found)


def _check_rebuilt(run: Run, findings: Findings) -> None:
    """I8: the analysts' tables, built anew, are those that were there; the command says where they differ.

    Streams that were planted and then lost with the broker's data are known only to who read them before.
    """
    system = run.links.system
    for name in ("analytics", "analytics-1"):
        system.supervisor.remove(name)
    told = system.command("analytics", "rebuild", "--accept-differences", seconds=QUIET_SECONDS)
    equal, different = _TABLE.findall(told), _DIFFERENT.findall(told)
    say(f"  {len(equal)} tables are equal, {len(different)} are not")
    findings.check("I8 rebuilt", bool(equal), told)
    planted = {str(one.stream) for one in run.nemesis.done.planted}
    for table in different:
        lost = table == "streams" and run.nemesis.done.losses and set(_ONLY_LIVE.findall(told)) <= planted
        findings.check("I8 rebuilt", bool(lost), f"{table}: {told}")


def _check_logs(run: Run, findings: Findings) -> None:
    """No word of a mail and no address in any line."""
    for log in (run.folder / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        findings.check("logs", "canary" not in text, f"a mail's word in {log.name}")
        # The causes of parked records name fields, such as customer.
        named = re.search(r"customer\d|client\d", text)
        findings.check("logs", named is None, f"an address in {log.name}")


def not_looked_at(findings: Findings, besides: Sequence[str] = ()) -> set[str]:
    """Checks that were never made."""
    return LOOKED_AT - set(findings.checked) - set(besides)
