"""The story of the demonstration, told by any deployment that runs, and everything that it left judged."""

from collections.abc import Iterator

import pytest
from tests.judging.settling import quiet
from tests.judging.visiting import judge
from tests.traffic import Customers, Operator, until

from deskline_local.acts.printer import Printer
from deskline_local.acts.unanswered import Unanswered
from deskline_local.deployment import OWN_DOMAIN
from deskline_local.office import Office, Person
from deskline_local.site import Site
from deskline_local.story import Stage, Story

pytestmark = [pytest.mark.e2e, pytest.mark.anywhere, pytest.mark.timeout(300)]

MAILS = 40
PERSONS = 20
COMMANDS = 20
QUIET_SECONDS = 90.0
TEAM = "0a000000-0000-7000-8000-00000000f001"
QUEUE = "0b000000-0000-7000-8000-00000000f001"


@pytest.fixture(scope="module")
def office(site: Site) -> Iterator[Office]:
    made = Office(site)
    yield made
    made.close()


def test_story_ends_as_told(site: Site, office: Office) -> None:
    office.open()
    story, stage = Story(print), Stage(office, site)
    steps = [*Printer(stage).steps(), *Unanswered(stage).steps()]
    story.play(steps)
    assert story.done == [name for name, _ in steps]


def test_mails_and_commands_keep_the_promises(site: Site, office: Office) -> None:
    people = [
        Person(f"operator{n}", f"0e000000-0000-7000-8000-00000000c00{n}", ("operator",), TEAM)
        for n in range(2)
    ]
    # A line, a team and a queue of its own: others act on the same deployment.
    office.set_team(people, TEAM, QUEUE, {"line_ids": [office.add_line("flow")]})
    operators = [Operator(site.gateway_url, desk.token) for desk in office.desks(people)]
    customers = Customers(site.smtp[1], PERSONS, f"flow@{OWN_DOMAIN}")
    try:
        for number in range(MAILS):
            customers.deliver(number)
        while sum(len(one.given) for one in operators) < COMMANDS:
            for one in operators:
                one.work()
    finally:
        for one in operators:
            one.close()
    until("everything applied and told", lambda: quiet(site), QUIET_SECONDS)
    findings = judge(site, customers.accepted, customers.unknown, operators)
    print(f"\n{findings.table()}")
    assert not findings.wrong, findings.table()
    assert len(customers.accepted) == MAILS
