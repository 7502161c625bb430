"""The page for who is on call: every command of it does on a running system what the page says."""

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.e2e.operating.page import PAGE, blocks
from tests.e2e.operating.scenery import (
    OWNERS,
    READERS,
    Company,
    Json,
    ask,
    defect,
    figures,
    listed,
    parked,
    relay_epoch,
    settle,
    start,
    stop,
    until,
    until_figure,
)
from tests.e2e.operating.terminal import Terminal, runs
from tests.judging.records import published
from tests.judging.sharing import _members as members_of
from tests.judging.sharing import poison, without_poison

from deskline_local.deployment import SERVICES, Doors
from deskline_local.office import token_in
from deskline_local.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

UPGRADE = ("analytics", "sla", "notify", "routing", "tickets", "intake", "gateway")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with System(tmp_path_factory.mktemp("operated") / "system", Doors.anywhere(), trace_sample=0.0) as system:
        made = Company(system)
        yield made
        made.office.close()


@pytest.fixture
def terminal(company: Company, tmp_path: Path) -> Terminal:
    return Terminal(company.system, tmp_path)


def test_every_command_of_the_page_is_run_by_a_scenario() -> None:
    scenarios = [test for name, test in vars(sys.modules[__name__]).items() if name.startswith("test_")]
    run: set[str] = set().union(*(getattr(test, "blocks", frozenset()) for test in scenarios))
    assert run == set(blocks())


@runs("parked-list", "parked-redrive")
def test_parked_streams_are_listed_and_redriven(company: Company, terminal: Terminal) -> None:
    running = company.system
    with defect(running, "analytics", "open_tickets"):
        company.write("it parks")
        until("parked", lambda: max(figures(running, "analytics", "deskline_reader_parked")) or None)
        (first, *_) = listed(terminal.run("parked-list", service="analytics").told)
        assert first["reader"] == "deskline.analytics"
        assert first["subject"]
        assert first["cause"]
        assert "streams refused" in terminal.run("parked-redrive", service="analytics", ends_with=1).told
    told = terminal.run("parked-redrive", service="analytics").told
    assert told.endswith("0 streams refused\n")
    assert not told.startswith("0 ")
    company.ticket_about("it parks")
    assert terminal.run("parked-list", service="analytics").told == ""


@runs("backlog")
def test_what_intake_has_still_to_do_can_be_seen(company: Company, terminal: Terminal) -> None:
    running = company.system
    settle(running)
    url = running.deployment.databases["intake"].owner_url

    def told() -> list[str]:
        return [word.strip() for word in terminal.run("backlog", url=url).told.splitlines()[2].split("|")]

    assert told() == ["0", "", "0"]
    # As if a process had taken all senders' lanes and hung.
    hold = "UPDATE lanes SET holder = gen_random_uuid(), held_until = clock_timestamp() + interval '1 hour'"
    ask(running, "intake", hold)
    company.write("it waits to be read")
    unread, oldest, not_announced = told()
    assert (unread, not_announced) == ("1", "0")
    assert oldest
    ask(running, "intake", "UPDATE lanes SET holder = NULL, held_until = to_timestamp(0)")
    company.ticket_about("it waits to be read")
    assert told() == ["0", "", "0"]


@runs("waiting", "relay", "sizes")
def test_what_waits_and_what_is_large_can_be_seen(company: Company, terminal: Terminal) -> None:
    running = company.system
    settle(running)
    url = running.deployment.databases["analytics"].owner_url
    assert "(0 rows)" in terminal.run("waiting", url=url).told
    early = "INSERT INTO waiting_records (reader, owner, subject, sequence, topic, partition, record_offset,"
    early += " headers) VALUES ('deskline.analytics', 'tickets', gen_random_uuid(), 7, 't', 0, 0, '')"
    ask(running, "analytics", early)
    assert "tickets" in terminal.run("waiting", url=url).told
    until_figure(running, "analytics", "deskline_reader_waiting", 1)
    ask(running, "analytics", "DELETE FROM waiting_records")
    assert "open_tickets" in terminal.run("sizes", url=url).told
    told = terminal.run("relay", url=running.deployment.databases["tickets"].owner_url).told
    epoch, _term, not_announced = (int(word) for word in told.splitlines()[2].split("|"))
    assert (epoch, not_announced) == (relay_epoch(running, "tickets"), 0)


@runs("deadlines-list", "deadlines-retry")
def test_failed_deadlines_are_listed_and_retried(company: Company, terminal: Terminal) -> None:
    running = company.system
    company.office.set_policy(company.line, 1, actions=())
    with defect(running, "sla", "events", "WHEN (NEW.type LIKE '%SlaBreached%')"):
        ticket = company.open_ticket("nobody answers")
        failed = until(
            "a failed deadline", lambda: listed(terminal.run("deadlines-list", service="sla").told) or None
        )
        assert ticket in {one["subject"] for one in failed}
        until_figure(running, "sla", "deskline_deadlines_failed", 1)
    company.office.set_policy(company.line, 28_800, actions=())
    assert "armed anew" in terminal.run("deadlines-retry", service="sla").told

    def breached() -> bool | None:
        found = without_poison(published(running.stack.bootstrap, "deskline.sla.events"))
        return any(one.name == "SlaBreached" and one.stream == ticket for one in found) or None

    until("the breach", breached)
    assert terminal.run("deadlines-list", service="sla").told == ""


@runs("rebuild", "rebuild-accept", "rebuild-set-aside")
def test_read_models_are_made_anew(company: Company, terminal: Terminal) -> None:
    running = company.system
    company.open_ticket("it is counted")
    company.write("News", "news@client.example", to_a_list=True)
    settle(running)
    aside = ask(running, "tickets", "SELECT * FROM set_aside")
    assert aside
    assert "different" not in terminal.run("rebuild").told
    ask(running, "analytics", "DELETE FROM ticket_documents")
    assert "ticket_documents: different" in terminal.run("rebuild", ends_with=1).told
    terminal.run("rebuild-accept")
    assert "different" not in terminal.run("rebuild").told
    ask(running, "tickets", "DELETE FROM set_aside")
    terminal.run("rebuild-set-aside")
    assert ask(running, "tickets", "SELECT * FROM set_aside") == aside


@runs("republish", "relay")
def test_a_topic_is_announced_anew(company: Company, terminal: Terminal) -> None:
    running = company.system
    company.open_ticket("told again")
    settle(running)
    before = published(running.stack.bootstrap, "deskline.tickets.events")
    epoch = relay_epoch(running, "tickets")
    terminal.run("republish", service="tickets")
    assert relay_epoch(running, "tickets") == epoch + 1
    settle(running)
    url = running.deployment.databases["tickets"].owner_url
    until("announced", lambda: terminal.run("relay", url=url).told.split("|")[-1].split()[0] == "0" or None)
    after = published(running.stack.bootstrap, "deskline.tickets.events")
    again = [one for one in after if one.headers["deskline-epoch"] == str(epoch + 1)]
    # What happened meanwhile by itself, as an offer that ended, is announced in this epoch alone.
    assert {one.id for one in before} <= {one.id for one in again} == {one.id for one in after}
    told = [letter.message_id for letter in running.mailbox.letters()]
    assert len(set(told)) == len(told)


@runs("token-list", "token-create", "token-revoke")
def test_tokens_are_rotated(company: Company, terminal: Terminal) -> None:
    running = company.system
    made = terminal.run("token-create")
    token, token_id = token_in(made.told), made.complained.split()[1]
    assert token_id in {one["id"] for one in listed(terminal.run("token-list").told)}
    ask_with = {"Authorization": f"Bearer {token}"}
    url = f"{running.deployment.gateway_url}/v1/tickets"
    assert httpx.get(url, headers=ask_with, timeout=10).status_code == 200
    terminal.run("token-revoke", id=token_id)
    until("refused", lambda: httpx.get(url, headers=ask_with, timeout=10).status_code == 401 or None)


@runs("contact", "erase", "erased")
def test_a_person_is_erased(company: Company, terminal: Terminal) -> None:
    running = company.system
    ticket = company.open_ticket("forget me", sender="forgotten@client.example")
    url = running.deployment.databases["intake"].owner_url
    contact = terminal.run("contact", url=url, address="Forgotten@client.example").told.strip()
    terminal.run("erase", contact=contact)
    until(
        "forgotten",
        lambda: company.office.olga.get(f"/v1/tickets/{ticket}")["subject"] != "forget me" or None,
    )
    readers = running.deployment.databases["analytics"].owner_url
    until("known", lambda: contact in terminal.run("erased", url=readers).told or None)
    assert terminal.run("contact", url=url, address="forgotten@client.example").told == ""


@runs()
def test_a_second_replica_shares_the_work(company: Company, terminal: Terminal) -> None:
    running = company.system

    def members() -> dict[str, int]:
        try:
            return asyncio.run(members_of(running.stack.bootstrap, "deskline.analytics"))
        except ValueError:
            # While the group is formed anew its members have nothing yet.
            return {}

    running.start_service("analytics", 1)
    until("shared", lambda: (len(members()) == 2 and all(members().values())) or None)
    ours = members()
    # Each tells the lag of its own partitions and of no others.
    until(
        "told", lambda: len(figures(running, "analytics", "deskline_reader_lag")) < sum(ours.values()) or None
    )
    company.open_ticket("shared work")
    running.supervisor.remove("analytics-1")
    until("alone", lambda: len(members()) == 1 or None)
    company.open_ticket("alone again")


@runs("prepare")
def test_services_are_upgraded_in_the_page_s_order(company: Company, terminal: Terminal) -> None:
    running = company.system
    assert ", ".join(UPGRADE) in PAGE.read_text(encoding="utf-8")
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        told = list(pool.map(lambda service: terminal.run("prepare", service=service).told, UPGRADE))
    assert all("the newest" in one for one in told)
    for service in UPGRADE:
        stop(running, [service])
        if service != "intake":
            company.write(f"while {service} is upgraded")
        start(running, [service])
    for service in UPGRADE:
        if service != "intake":
            company.ticket_about(f"while {service} is upgraded")
    for reader in READERS:
        assert parked(running, reader) == []


@runs("backup", "restore", "delete-topics", "from-the-start", "new-epoch", "rebuild")
def test_everything_is_restored_to_one_moment(company: Company, terminal: Terminal) -> None:
    running = company.system
    kept = company.open_ticket("kept by all")
    settle(running)
    urls = {service: one.owner_url for service, one in running.deployment.databases.items()}
    for service in SERVICES:
        terminal.run("backup", service=service, url=urls[service])
    epochs = {owner: relay_epoch(running, owner) for owner in OWNERS}
    lost = company.open_ticket("lost by all")
    company.note(kept, "lost by all")
    settle(running)
    stop(running)
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        list(pool.map(lambda service: terminal.run("restore", service=service, url=urls[service]), SERVICES))
    for owner in OWNERS:
        terminal.run("delete-topics", service=owner)
        raise_epoch(running, terminal, owner, epochs[owner])
    for reader in READERS:
        terminal.run("from-the-start", url=urls[reader])
    start(running)
    # A new fact has the sequence of the lost one.
    company.note(kept, "written instead")
    company.open_ticket("after the restore")
    settle(running)
    subjects = set(company.subjects())
    assert {"kept by all", "after the restore"} <= subjects
    assert "lost by all" not in subjects
    assert ask(running, "routing", "SELECT 1 FROM reader_streams WHERE subject = %s", lost) == []
    check_readers_are_content(running, terminal)


@runs(
    "backup", "restore", "kept-streams", "delete-topics", "forget", "new-epoch", "rebuild", "rebuild-accept"
)
def test_one_owner_is_restored_to_an_earlier_moment(company: Company, terminal: Terminal) -> None:
    running = company.system
    kept = company.open_ticket("before the backup")
    settle(running)
    databases = running.deployment.databases
    url, epoch = databases["tickets"].owner_url, relay_epoch(running, "tickets")
    terminal.run("backup", service="tickets", url=url)
    # Lost: a note, and what became of a mail that intake still has.
    company.note(kept, "lost with the database")
    taken_again = company.open_ticket("after the backup")
    settle(running)
    stop(running)
    terminal.run("restore", service="tickets", url=url)
    terminal.run("kept-streams", url=url)
    terminal.run("delete-topics", service="tickets")
    for reader in ("routing", "sla", "notify"):
        terminal.run("forget", service="tickets", reader_url=databases[reader].owner_url)
    raise_epoch(running, terminal, "tickets", epoch)
    start(running)
    until("taken in again", lambda: company.is_known(taken_again) or None)
    # A new fact has the sequence of the lost one, and still reaches every reader.
    company.note(kept, "written instead")
    settle(running)
    until_figure(running, "analytics", "deskline_reader_rebuild_needed", 1)
    terminal.run("rebuild-accept")
    until_figure(running, "analytics", "deskline_reader_rebuild_needed", 0)
    check_readers_are_content(running, terminal)
    ids = [one.id for one in published(running.stack.bootstrap, "deskline.tickets.events")]
    (stored,) = ask(running, "tickets", "SELECT count(*) FROM events")
    assert len(set(ids)) == stored[0]


@runs("parked-list", "parked-discard")
def test_a_stranger_s_record_is_discarded(company: Company, terminal: Terminal) -> None:
    running = company.system
    settle(running)
    poison(running.stack.bootstrap, "deskline.sla.events")
    for service in ("tickets", "notify", "analytics"):

        def found(service: str = service) -> Json | None:
            told = listed(terminal.run("parked-list", service=service).told)
            return next((one for one in told if one["subject"] is None), None)

        loose = until(f"parked in {service}", found)
        terminal.run("parked-discard", service=service, id=loose["id"])
        terminal.run("parked-discard", service=service, id=loose["id"], ends_with=1)
        assert found() is None


def raise_epoch(system: System, terminal: Terminal, owner: str, before: int) -> None:
    """As the page says: until the new epoch is higher than any that was."""
    for _ in range(before + 1):
        epoch = int(terminal.run("new-epoch", service=owner).told.split(":")[0].removeprefix("epoch "))
        if epoch > before:
            return
    raise AssertionError(f"{owner} has epoch {epoch}, and had {before}")


def check_readers_are_content(system: System, terminal: Terminal) -> None:
    """Nobody asks for a rebuild, sla knows until when tickets is complete, and read models are equal."""
    for reader in READERS:
        assert max(figures(system, reader, "deskline_reader_rebuild_needed"), default=0) == 0, reader
        assert parked(system, reader) == []
    generation = ask(system, "tickets", "SELECT generation FROM log_head")
    # A partition in which no ticket fell says nothing of any generation.
    followed = ask(
        system,
        "sla",
        "SELECT DISTINCT generation FROM positions WHERE topic LIKE '%tickets.events' AND next_offset > 0",
    )
    assert followed == generation
    assert "different" not in terminal.run("rebuild").told
