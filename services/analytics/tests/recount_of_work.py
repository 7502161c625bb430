"""The analysts' questions about deadlines, stages and operators, answered naively from the facts alone."""

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from services.analytics.tests import recount
from services.analytics.tests.recount import (
    LEFT_OUT,
    MOSCOW,
    OVER,
    Past,
    Row,
    hours,
    is_late,
    percentile,
    ratio,
    utc,
)

DECISIONS = {
    "TicketQueued": "queued",
    "OfferMade": "offered",
    "NobodyAvailable": "nobody",
    "OfferWithdrawn": "withdrawn",
    "AssignmentWithdrawn": "unassigned",
}
WEEK = timedelta(days=7)


def month_of(moment: datetime) -> date:
    return moment.astimezone(MOSCOW).date().replace(day=1)


def months_before(month: date, count: int) -> date:
    place = month.year * 12 + month.month - 1 - count
    return date(place // 12, place % 12 + 1, 1)


def counted(past: Past, ticket_id: UUID, clock: Row) -> bool:
    return past.stage(ticket_id) not in LEFT_OUT and clock["reason"] not in LEFT_OUT


def service_levels(past: Past) -> list[Row]:
    groups: dict[tuple[date, UUID, str], Row] = {}
    this_month = month_of(past.now)
    for (ticket_id, name, _), clock in recount.clocks(past).items():
        month = month_of(clock["due"])
        if not (months_before(this_month, 5) <= month <= this_month and counted(past, ticket_id, clock)):
            continue
        group = groups.setdefault(
            (month, clock["policy"], name), {"met": 0, "breached": 0, "pending": 0, "of": 0, "elapsed": []}
        )
        abandoned = clock["state"] == "cancelled" and "abandoned" in {clock["reason"], past.stage(ticket_id)}
        late = is_late(clock, past.now) or abandoned
        met = clock["state"] == "met"
        group["breached"] += late
        group["met"] += met and not late
        group["pending"] += clock["state"] in {"running", "paused"} and not late
        group["of"] += late or met
        if met:
            group["elapsed"].append(clock["elapsed"] / recount.HOUR)
    return [
        {
            "month": month,
            "policy_id": policy,
            "clock": name,
            "met": group["met"],
            "breached": group["breached"],
            "pending": group["pending"],
            "attainment": ratio(group["met"], group["of"], 3),
            "median_hours": percentile(group["elapsed"], 0.5),
        }
        for (month, policy, name), group in sorted(
            groups.items(), key=lambda item: (item[0][0], str(item[0][1:]))
        )
    ]


def breaches(past: Past) -> list[Row]:
    groups: Counter[tuple[str, UUID | None, str]] = Counter()
    for (ticket_id, name, _), clock in recount.clocks(past).items():
        moment = clock["moment"] or clock["due"]
        if is_late(clock, past.now) and moment >= past.day(30) and counted(past, ticket_id, clock):
            groups[name, past.queue(ticket_id, moment), stood(past, ticket_id, moment)] += 1
    whole: Counter[str] = Counter()
    for (name, _, _), count in groups.items():
        whole[name] += count
    rows = [
        {
            "clock": name,
            "queue_id": queue_id,
            "queue": past.names[queue_id],
            "stood": where,
            "breaches": count,
            "share_of_clock": ratio(count, whole[name], 3),
        }
        for (name, queue_id, where), count in groups.items()
    ]
    return sorted(
        rows, key=lambda row: (row["clock"], -row["breaches"], past.by_name(row["queue_id"]), row["stood"])
    )


def stood(past: Past, ticket_id: UUID, moment: datetime) -> str:
    if past.assignee(ticket_id, moment) is not None:
        return "with_operator"
    if past.offer(ticket_id, moment) is not None:
        return "offered"
    if past.queue(ticket_id, moment) is None:
        return "not_routed"
    made = [
        DECISIONS[type(f).__name__]
        for e, f in past.of(*DECISIONS)
        if e.subject == ticket_id and e.time <= moment
    ]
    return "nobody_available" if made[-1:] == ["nobody"] else "in_queue"


def reopenings(past: Past) -> list[Row]:
    weeks: dict[date, list[tuple[str | None, float | None]]] = defaultdict(list)
    for ticket_id, told in past.tickets.items():
        if past.stage(ticket_id) in LEFT_OUT:
            continue
        changes: list[tuple[datetime, Any]] = [
            (e.time, f) for e, f in told if type(f).__name__ == "StageChanged"
        ]
        for at, fact in changes:
            if fact.after != "resolved" or not past.monday(12) <= at <= past.now - WEEK:
                continue
            again = [then for then, f in changes if f.cycle == fact.cycle + 1 and then <= at + WEEK]
            local = at.astimezone(MOSCOW).date()
            monday = local - timedelta(days=local.weekday())
            weeks[monday].append((fact.closing_reason, hours(at, min(again)) if again else None))
    rows = []
    for week, found in sorted(weeks.items()):
        back = [after for _, after in found if after is not None]
        rows.append(
            {
                "week": week,
                "resolved": len(found),
                "no_reply": sum(reason == "no_reply" for reason, _ in found),
                "reopened": len(back),
                "reopen_rate": ratio(len(back), len(found), 3),
                "median_hours_until": percentile(back, 0.5),
            }
        )
    return rows


def operators(past: Past) -> list[Row]:
    since = utc(past.now).date() - timedelta(days=30)
    done: dict[UUID, Counter[str]] = defaultdict(Counter)
    employed: dict[UUID, bool] = {}
    kinds = {
        "TicketOffered": "offered",
        "TicketAccepted": "accepted",
        "OfferDeclined": "declined",
        "OfferEnded": "timed_out",
        "OperatorReplied": "replies",
    }
    for _, fact in past.of("OperatorChanged"):
        employed[fact.operator_id] = fact.employed
    for envelope, fact in past.of(*kinds, "StageChanged"):
        if utc(envelope.time).date() < since:
            continue
        kind = type(fact).__name__
        if kind == "StageChanged":
            if fact.after == "resolved":
                done[fact.actor.id]["resolved"] += 1
        elif kind != "OfferEnded" or fact.reason == "timed_out":
            done[fact.operator_id][kinds[kind]] += 1
    staff = [one for one, is_employed in employed.items() if is_employed]
    even = Fraction(sum(done[one]["offered"] for one in staff), len(staff))
    rows = []
    for one in set(employed) | set(done):
        found, is_employed = done[one], employed.get(one, False)
        if not is_employed and not found:
            continue
        mine = [t for t in past.tickets if past.assignee(t, past.now) == one and past.stage(t) not in OVER]
        offers = [past.offer(t, past.now) for t in past.tickets]
        rows.append(
            {
                "operator_id": one,
                "employed": is_employed,
                **{name: found[name] for name in (*kinds.values(), "resolved")},
                "refused_share": ratio(found["declined"] + found["timed_out"], found["offered"], 3),
                "evenness": ratio(found["offered"], even, 2) if is_employed else None,
                "open_now": len(mine),
                "offered_now": sum(offer is not None and offer.operator_id == one for offer in offers),
            }
        )
    return sorted(rows, key=lambda row: (-row["offered"], str(row["operator_id"])))


def stages(past: Past) -> list[Row]:
    ended: dict[str, list[float]] = defaultdict(list)
    lasting: dict[str, list[float]] = defaultdict(list)
    for told in past.tickets.values():
        began, stage = told[0][0].time, "new"
        for envelope, fact in told:
            if type(fact).__name__ == "StageChanged":
                change: Any = fact
                if envelope.time >= past.day(30):
                    ended[stage].append(hours(began, envelope.time))
                began, stage = envelope.time, change.after
        lasting[stage].append(hours(began, past.now))
    rows = [
        {
            "stage": stage,
            "ended": len(ended[stage]),
            "median_hours": percentile(ended[stage], 0.5),
            "p90_hours": percentile(ended[stage], 0.9),
            "hours_in_all": sum(ended[stage]),
            "lasting": len(lasting[stage]),
            "longest_lasting_hours": max(lasting[stage], default=None),
        }
        for stage in (set(ended) | set(lasting)) - {"closed", "merged", "spam", "abandoned"}
    ]
    return sorted(rows, key=lambda row: (-row["hours_in_all"], row["stage"]))


def escalations(past: Past) -> list[Row]:
    groups: dict[tuple[UUID | None, int, int, str], list[tuple[UUID, bool]]] = defaultdict(list)
    for ticket_id, told in past.tickets.items():
        moves: list[tuple[datetime, Any]] = [
            (e.time, f) for e, f in told if type(f).__name__ == "Escalated" and e.time >= past.day(30)
        ]
        for place, (at, fact) in enumerate(moves):
            down = any(later.after < later.before for _, later in moves[place + 1 :])
            key = past.queue(ticket_id, at), fact.before, fact.after, fact.reason
            groups[key].append((ticket_id, fact.after > fact.before and down))
    return [
        {
            "queue_id": queue_id,
            "queue": past.names[queue_id],
            "from_level": before,
            "to_level": after,
            "reason": reason,
            "escalations": len(groups[queue_id, before, after, reason]),
            "tickets": len({ticket_id for ticket_id, _ in groups[queue_id, before, after, reason]}),
            "back": after < before,
            "returned": sum(came_back for _, came_back in groups[queue_id, before, after, reason]),
        }
        for queue_id, before, after, reason in sorted(
            groups, key=lambda key: (past.by_name(key[0]), *key[1:])
        )
    ]
