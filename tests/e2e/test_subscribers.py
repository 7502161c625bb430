"""The subscribers of the guide on a running system: killed, republished to, robbed of the broker's data."""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.subscribing import PATIENCE, Console, Subscriber, console, out_of_order, stored, subscriber

from deskline_local.client import Desk, until
from deskline_local.deployment import OWN_DOMAIN
from deskline_local.office import token_in
from deskline_local.site import Site
from deskline_local.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Json = dict[str, Any]
FIRST, SECOND = 8, 8
OPENED = "deskline.tickets.TicketOpened.v1"
REPLIED = "deskline.tickets.CustomerReplied.v1"
ERASED = "deskline.intake.PersonErased.v1"


class Customers:
    """People who write to a line of their own; nobody else is heard there."""

    def __init__(self, site: Site) -> None:
        self.name = f"line-{uuid.uuid4().hex[:8]}"
        self.address = f"{self.name}@{OWN_DOMAIN}"
        told = site.command("intake", "line", "add", "--address", self.address, "--name", self.name)
        self.line_id = told.strip()
        token = token_in(site.command("gateway", "token", "create", "--role", "operator"))
        self.desk = Desk(site.gateway_url, site.smtp, token)
        self.sent = 0

    def write(self, subject: str, *, first: int | None = None) -> int:
        """A mail of a person of their own, or of the one who wrote the first; gives its number."""
        self.sent += 1
        mail = EmailMessage(policy=SMTP)
        sender = f"customer-{first or self.sent}@{self.name}.example"
        mail["From"], mail["To"], mail["Subject"] = sender, self.address, subject
        mail["Message-ID"] = f"<{self.sent}@{self.name}.example>"
        if first is not None:
            mail["References"] = f"<{first}@{self.name}.example>"
        mail.set_content(f"{subject}, at length")
        self.desk.mail(sender, self.address, mail.as_bytes())
        return self.sent


@pytest.fixture
def customers(site: Site) -> Iterator[Customers]:
    made = Customers(site)
    yield made
    made.desk.close()


def opened_tickets(told: Subscriber, customers: Customers) -> dict[str, Json]:
    """Subject of the line's ticket → its TicketOpened, as it is shown."""
    return {
        data["subject"]: data | {"ticket_id": stream}
        for kind, stream, data in told.shown()
        if kind == OPENED and data["line"]["line_id"] == customers.line_id
    }


def until_opened(told: Subscriber, customers: Customers, *subjects: str) -> dict[str, Json]:
    """As soon as the line's tickets are shown with these subjects in the clear."""
    here = f"type = '{OPENED}' AND data LIKE '%{customers.line_id}%'"

    def shown() -> dict[str, Json] | None:
        if len(told.rows(f"SELECT id FROM facts WHERE {here}")) < len(subjects):
            return None
        found = opened_tickets(told, customers)
        return found if set(subjects) <= set(found) else None

    return until("the tickets with their subjects in the clear", shown, PATIENCE)


def assert_each_once(told: Subscriber | Console, site: Site) -> None:
    facts = told.facts()
    assert out_of_order(facts) == []
    assert [fact for fact, times in Counter(facts).items() if times > 1] == []
    assert set(facts) <= set(stored(site))


def grown(told: Subscriber, number: int) -> bool | None:
    return len(told.facts()) >= number or None


def risen(told: Subscriber, before: dict[str, int], topics: set[str]) -> bool | None:
    """Whether every partition of these topics is read under a higher epoch."""
    now = told.epochs()
    return all(now.get(topic, 0) > before[topic] for topic in topics) or None


@pytest.mark.anywhere
def test_subscriber_loses_and_doubles_nothing_over_sigkill_and_republication(
    site: Site, customers: Customers, tmp_path: Path
) -> None:
    with subscriber(site, tmp_path) as told:
        first = [f"first {number}" for number in range(FIRST)]
        second = [f"second {number}" for number in range(SECOND)]
        for subject in first:
            customers.write(subject)
        until("some of the facts", partial(grown, told, FIRST), PATIENCE)
        told.kill()
        kept = told.facts()
        for subject in second:
            customers.write(subject)
        told.start()
        until_opened(told, customers, *first, *second)
        facts = told.until_equal()
        assert len(facts) > len(kept)
        assert facts[: len(kept)] == kept, "what was kept before SIGKILL stands as it stood"
        assert_each_once(told, site)

        before = told.epochs()
        for owner in ("intake", "tickets"):
            site.command(owner, "republish")
        customers.write("once more", first=1)
        again = {"deskline.intake.events", "deskline.intake.keys", "deskline.tickets.events"}
        until("the higher epoch is read", partial(risen, told, before, again), PATIENCE)
        told.until_equal()
        assert_each_once(told, site)
        check_data(told, site)


def check_data(told: Subscriber, site: Site) -> None:
    """What it keeps says word for word what is stored, but for what owners keep to themselves."""
    kept = stored(site)
    for source, subject, sequence, data in told.rows("SELECT source, subject, sequence, data FROM facts"):
        said = json.loads(data)
        assert {name: kept[source, subject, sequence].get(name) for name in said} == said


def test_subscriber_begins_anew_where_the_broker_lost_everything(
    site: Site, customers: Customers, tmp_path: Path
) -> None:
    assert isinstance(site, System), "somebody else's broker can't be wiped: run this on a local stack"
    with subscriber(site, tmp_path) as told:
        before_it = [f"before {number}" for number in range(FIRST)]
        for subject in before_it:
            customers.write(subject)
        until_opened(told, customers, *before_it)
        before = told.epochs()
        site.stack.kafka.kill()
        site.stack.kafka.wipe()
        site.stack.kafka.start()
        until("the higher epoch is read", partial(risen, told, before, set(before)), PATIENCE)
        customers.write("after the loss")
        until_opened(told, customers, *before_it, "after the loss")
        told.until_equal()
        assert_each_once(told, site)


@pytest.mark.anywhere
def test_nothing_of_an_erased_person_can_be_read_in_what_the_subscriber_keeps(
    site: Site, customers: Customers, tmp_path: Path
) -> None:
    with subscriber(site, tmp_path) as told:
        secret, public = f"secret-{uuid.uuid4().hex}", f"public-{uuid.uuid4().hex}"
        customers.write(secret)
        customers.write(public)
        found = until_opened(told, customers, secret, public)
        person = found[secret]["contact_id"]
        site.command("intake", "contact", "erase", person)
        until("the key is destroyed", partial(is_erased, told, person), PATIENCE)
        shown = told.shown()
        assert secret not in str(shown)
        assert public in str(shown)
        (ticket,) = [
            data for kind, stream, data in shown if (kind, stream) == (OPENED, found[secret]["ticket_id"])
        ]
        assert (ticket["subject"], ticket["message"]["text"]) == ("erased", "erased")
        assert secret.encode() not in told.state.read_bytes()


def is_erased(told: Subscriber, person: str) -> bool | None:
    """Whether both records of it came: that of the keys topic, and the fact."""
    keys = told.rows(f"SELECT keys FROM keys WHERE person = '{person}'")
    facts = told.rows(f"SELECT id FROM facts WHERE subject = '{person}' AND type = '{ERASED}'")
    return (keys == [("",)] and len(facts) == 1) or None


@pytest.mark.anywhere
def test_console_consumer_prints_each_fact_once_and_no_text_of_a_person(
    site: Site, customers: Customers, tmp_path: Path
) -> None:
    with console(site, tmp_path) as told:
        canary = f"canary-{uuid.uuid4().hex}"
        first = customers.write(canary)
        ticket = until("the ticket", lambda: ticket_of(customers), PATIENCE)
        until("its first fact", partial(has_printed, told, OPENED, ticket), PATIENCE)
        site.command("tickets", "republish")
        # Comes after all that is announced anew of this ticket, in the same partition.
        customers.write("again", first=first)
        until("the reply", partial(has_printed, told, REPLIED, ticket), PATIENCE)

        def whole() -> bool | None:
            return set(stored(site)) == set(told.facts()) or None

        until("everything that is stored", whole, PATIENCE)
        assert_each_once(told, site)
        printed = told.output.read_text(encoding="utf-8")
        assert '"subject":{"k":"' in printed
        assert canary not in printed
        assert f"@{customers.name}.example" not in printed


def has_printed(told: Console, kind: str, stream: str) -> bool | None:
    return any(line[1:3] == [kind, stream] for line in told.lines()) or None


def ticket_of(customers: Customers) -> str | None:
    items = customers.desk.get("/v1/tickets", line_id=customers.line_id)["items"]
    return str(items[0]["ticket_id"]) if items else None
