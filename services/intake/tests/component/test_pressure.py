"""Too much is on its way: the doors send messages away without a trace, and take them again by themselves."""

import contextlib
import os
import re
import signal
import smtplib
import socket
from collections import Counter
from collections.abc import Callable

import httpx
import pytest
from services.intake.tests.kit import LINE, Intake, Process, deliver, mail, send, until
from services.intake.tests.slow_reader import SlowReader

pytestmark = pytest.mark.component


def figure(process: Process, name: str) -> float | None:
    text = httpx.get(f"http://127.0.0.1:{process.http_port}/metrics", timeout=10).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return None if found is None else float(found[1])


def greeting(process: Process) -> int:
    door = smtplib.SMTP()
    code, _ = door.connect("127.0.0.1", process.smtp_port)
    door.close()
    return code


def is_shut(process: Process) -> Callable[[], bool]:
    return lambda: figure(process, "deskline_intake_shedding") == 1


def test_doors_are_shut_by_a_reader_that_is_far_behind_and_opened_when_it_is_not(intake: Intake) -> None:
    intake.add_line()
    form = intake.add_form("--address", LINE)
    process = intake.start()
    with process.client() as known, SlowReader(intake.stack.bootstrap, intake.prefix) as reader:
        deliver(known, mail("before"))
        until(is_shut(process))
        # Who is connected already is told so at the next mail, others at the door.
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            deliver(known, mail("on an open connection"))
        assert refused.value.smtp_code == 451
        assert greeting(process) == 421
        answer = process.post_form(form)
        assert answer.status_code == 503
        assert answer.json()["code"] == "busy"
        assert int(answer.headers["Retry-After"]) >= 1
        assert figure(process, 'deskline_intake_wait_seconds{stage="deskline.analytics"}') is None
        stage = f"{intake.prefix}deskline.analytics"
        assert (figure(process, f'deskline_intake_wait_seconds{{stage="{stage}"}}') or 0) > 10
        assert figure(process, 'deskline_intake_shed_total{door="mail"}') == 2
        assert figure(process, 'deskline_intake_shed_total{door="form"}') == 1
        assert intake.sql("SELECT count(*) FROM raw_messages") == [(1,)]
        assert intake.sql("SELECT count(*) FROM form_rates") == [(0,)]
        reader.catch_up()
        until(lambda: not is_shut(process)())
        deliver(known, mail("after"))
        send(process, mail("after"))
        assert process.post_form(form).status_code == 202
        assert httpx.get(f"http://127.0.0.1:{process.http_port}/readyz", timeout=10).status_code == 200


def test_a_broker_that_is_away_shuts_no_door(intake: Intake) -> None:
    intake.add_line()
    process = intake.start(DESKLINE_KAFKA="127.0.0.1:1")
    for number in range(3):
        send(process, mail(f"number {number}"))
    assert figure(process, "deskline_intake_shedding") == 0


def test_flood_of_connections_waits_at_the_door_and_each_is_answered(intake: Intake) -> None:
    intake.add_line()
    process = intake.start()
    port, many = process.smtp_port, 600
    os.kill(process.child.pid, signal.SIGSTOP)
    with contextlib.ExitStack() as held:
        try:
            # One that found the queue full would try for the second time after a second.
            clients = [
                held.enter_context(socket.create_connection(("127.0.0.1", port), 0.9)) for _ in range(many)
            ]
        finally:
            os.kill(process.child.pid, signal.SIGCONT)
        answers = Counter[int]()
        for client in clients:
            client.settimeout(30)
            answers[int(client.recv(512)[:3])] += 1
    assert answers[220] > 0
    assert answers[421] > 0
    assert answers.total() == many
