"""The SMTP door: whom it lets in, what it refuses, and that 250 always means kept."""

import base64
import os
import smtplib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from services.intake.tests.kit import LINE, Intake, Process, deliver, in_threads, mail, send, until

pytestmark = pytest.mark.component


@pytest.fixture
def door(intake: Intake) -> Process:
    intake.add_line()
    return intake.start(DESKLINE_INTAKE_MAIL_BYTES="100000")


def stored(intake: Intake) -> list[bytes]:
    return [raw for (raw,) in intake.sql("SELECT raw FROM raw_messages ORDER BY arrival")]


def test_open_relay_unknown_recipients_are_refused(intake: Intake, door: Process) -> None:
    with door.client() as client:
        for stranger in ("someone@elsewhere.example", "nobody@desk.example", "support@desk.example.evil"):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                deliver(client, mail(), to=stranger)
            assert refused.value.recipients[stranger][0] == 550
    assert stored(intake) == []


def test_disabled_line_is_refused_and_another_is_not(intake: Intake, door: Process) -> None:
    intake.add_line("old@desk.example")
    assert intake.command("line", "disable", "--address", "OLD@desk.example").returncode == 0
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(door, mail(), to="old@desk.example")
    send(door, mail())


def test_line_commands_refuse_clearly(intake: Intake) -> None:
    intake.add_line()
    again = intake.command("line", "add", "--address", LINE.upper(), "--name", "Second")
    assert (again.returncode, again.stderr) == (1, "a line with this address exists already\n")
    for arguments in (
        ("add", "--address", "no address", "--name", "x"),
        ("add", "--address", "a+b@x.example", "--name", "x"),
        ("add", "--address", "a@x.example", "--name", " "),
        ("add", "--address", "a@x.example", "--name", "x", "--language", "de"),
        ("disable", "--address", "nobody@x.example"),
    ):
        refused = intake.command("line", *arguments)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
    listed = intake.command("line", "list").stdout
    assert listed.count("\n") == 1
    assert f'"address": "{LINE}"' in listed


def test_oversize_is_refused_before_acceptance(intake: Intake, door: Process) -> None:
    with door.client() as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "100000"
        assert client.mail("a@client.example", ["SIZE=100001"])[0] == 552
        client.rset()
        with pytest.raises(smtplib.SMTPDataError) as refused:
            deliver(client, mail("x" * 80 + "\r\n") + b"y" * 100_000)
        assert refused.value.smtp_code == 552
        deliver(client, mail("fits"))
    assert len(stored(intake)) == 1


def test_sender_who_goes_on_far_beyond_the_limit_is_cut_off(intake: Intake, door: Process) -> None:
    with (
        door.client() as client,
        pytest.raises((smtplib.SMTPDataError, smtplib.SMTPServerDisconnected, OSError)),
    ):
        deliver(client, b"z" * 5_000_000)
    assert stored(intake) == []
    send(door, mail())


def test_long_lines_are_kept_as_they_came(intake: Intake, door: Process) -> None:
    content = mail("начало") + b"q" * 80_000 + b"\r\nend\r\n"
    send(door, content)
    assert stored(intake) == [content]


def raw_dialogue(door: Process, *sent: bytes) -> list[bytes]:
    """Answers to bytes sent as they are, each after the answer before."""
    answers = []
    with socket.create_connection(("127.0.0.1", door.smtp_port), timeout=20) as connection:
        file = connection.makefile("rb")
        file.readline()
        for part in sent:
            connection.sendall(part)
            answers.append(file.readline())
    return answers


BEGINNING = (
    b"HELO x\r\n",
    b"MAIL FROM:<a@client.example>\r\n",
    f"RCPT TO:<{LINE}>\r\n".encode(),
    b"DATA\r\n",
)


def test_dots_and_bare_line_feeds_are_kept_as_they_came(intake: Intake, door: Process) -> None:
    content = b".first\r\n" + mail("x") + b".\r\n..\r\n.dot\r\nbare\n.\nline\r\n\r\n.\r\n\n.\r\nend.\r\n"
    stuffed = b"." + content.replace(b"\r\n.", b"\r\n..")
    assert raw_dialogue(door, *BEGINNING, stuffed + b".\r\n")[-1].startswith(b"250")
    assert stored(intake) == [content]


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r"])
def test_smuggled_mail_lax_ends_of_data_are_no_end(intake: Intake, door: Process, end: bytes) -> None:
    inner = (
        b"MAIL FROM:<boss@desk.example>\r\nRCPT TO:<"
        + LINE.encode()
        + b">\r\nDATA\r\nFrom: boss@desk.example\r\n"
    )
    answers = raw_dialogue(door, *BEGINNING, mail("outer") + end + inner + b"\r\ninner\r\n.\r\n")
    assert answers[-1].startswith(b"250")
    assert len(stored(intake)) == 1


def test_empty_and_pipelined_mail(intake: Intake, door: Process) -> None:
    assert raw_dialogue(door, *BEGINNING, b".\r\n")[-1].startswith(b"250")
    with socket.create_connection(("127.0.0.1", door.smtp_port), timeout=20) as connection:
        connection.sendall(b"".join(BEGINNING[:3]))
        connection.sendall(b"DATA\r\n" + mail("one") + b".\r\nNOOP\r\nQUIT\r\n")
        answers = connection.makefile("rb").read().splitlines()
    assert [answer[:3] for answer in answers] == [
        b"220",
        b"250",
        b"250",
        b"250",
        b"354",
        b"250",
        b"250",
        b"221",
    ]
    assert [len(raw) for raw in stored(intake)] == [
        0,
        len(mail("one", message_id="<12.12345@client.example>")),
    ] or len(stored(intake)) == 2
    intake.messages(2)


def test_nobody_learns_who_is_here(intake: Intake, door: Process) -> None:
    with door.client() as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        for command in (f"VRFY {LINE}", f"EXPN {LINE}", "AUTH PLAIN AGEAYg=="):
            assert client.docmd(command)[0] == 502


def test_null_sender_and_smtputf8_are_accepted(intake: Intake, door: Process) -> None:
    with door.client() as client:
        client.ehlo()
        assert "smtputf8" in client.esmtp_features
        assert client.mail("анна@пример.рф", ["SMTPUTF8"])[0] == 250
        assert client.rcpt(LINE)[0] == 250
        assert client.data(mail(sender="Анна <анна@пример.рф>"))[0] == 250
        deliver(client, mail("b"), sender="")
    rows = intake.sql("SELECT envelope_from FROM raw_messages ORDER BY arrival")
    assert rows == [("анна@xn--e1afmkfd.xn--p1ai",), ("",)]


def test_bytes_that_are_no_utf8_in_the_envelope_do_no_harm(intake: Intake, door: Process) -> None:
    answers = raw_dialogue(door, b"EHLO x\r\n")
    assert answers[0].startswith(b"250")
    answers = raw_dialogue(
        door, b"HELO x\r\n", b"MAIL FROM:<\xff\xfe@client.example>\r\n", *BEGINNING[2:], mail() + b".\r\n"
    )
    assert answers[-1].startswith(b"250")
    assert intake.sql("SELECT envelope_from FROM raw_messages") == [(None,)]


def test_too_many_recipients_errors_and_connections(intake: Intake) -> None:
    intake.add_line()
    door = intake.start(DESKLINE_INTAKE_SMTP_RECIPIENTS="2", DESKLINE_INTAKE_SMTP_CONNECTIONS="2")
    with door.client() as client:
        client.ehlo()
        client.mail("a@client.example")
        codes = [client.rcpt(LINE)[0] for _ in range(3)]
        assert codes == [250, 250, 452]
        with door.client():
            with pytest.raises(smtplib.SMTPConnectError) as refused:
                door.client()
            assert refused.value.smtp_code == 421
    until(lambda: can_connect(door))
    with door.client() as client:
        codes = [client.docmd("MAIL nonsense")[0] for _ in range(20)]
        assert set(codes) == {503}
        assert client.getreply()[0] == 421
    with door.client() as client:
        codes = [client.noop()[0] for _ in range(31)]
        assert codes == [250] * 30 + [421]


def can_connect(door: Process) -> bool:
    try:
        door.client().quit()
    except smtplib.SMTPConnectError:
        return False
    return True


def test_idle_connection_is_closed(intake: Intake) -> None:
    door = intake.start(DESKLINE_INTAKE_SMTP_IDLE_SECONDS="0.3")
    with socket.create_connection(("127.0.0.1", door.smtp_port), timeout=20) as connection:
        file = connection.makefile("rb")
        assert file.readline().startswith(b"220")
        assert file.readline() == b""


def test_busy_port_is_one_clear_line_and_exit_2(intake: Intake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = intake.start(DESKLINE_INTAKE_SMTP_PORT=str(port))
        assert process.child.wait(20) == 2
    lines = [line for line in process.log.splitlines() if "can't listen" in line]
    assert len(lines) == 1
    assert f"can't listen for mail on 127.0.0.1 port {port}: Address already in use" in lines[0]


def test_wrong_settings_are_one_line_and_exit_2(intake: Intake) -> None:
    for name, value in (
        ("DESKLINE_INTAKE_OBJECT_STORE", "ftp://x"),
        ("DESKLINE_INTAKE_MAIL_BYTES", "99999999999"),
        ("DESKLINE_INTAKE_OWN_DOMAINS", "not a domain"),
        ("DESKLINE_INTAKE_SMTP_IN_FLIGHT_BYTES", "70000"),
        ("DESKLINE_INTAKE_OBJECT_STORE", "file:///proc/nowhere"),
    ):
        done = intake.command("serve", **{name: value})
        assert done.returncode == 2, name
        assert done.stderr.count("\n") == 1
        assert name in done.stderr
        assert value not in done.stderr


def test_database_away_is_4xx_and_accepted_after(intake: Intake, door: Process) -> None:
    with door.client() as client:
        deliver(client, mail("до"))
        client.mail("a@client.example")
        client.rcpt(LINE)
        intake.stack.postgres.stop()
        try:
            code, _ = client.data(mail("во время"))
            assert code == 451
            # A line is known for a second; then the look-up fails as well.
            until(
                lambda: client.rset()[0] == 250 and client.mail("a@x.example") and client.rcpt(LINE)[0] == 451
            )
        finally:
            intake.stack.postgres.start()

    def accepted() -> bool:
        try:
            send(door, mail("после"))
        except smtplib.SMTPException:
            return False
        return True

    until(accepted, 30)
    texts = {e.data["text"] for e in intake.messages(2, 40)}
    assert texts == {"до", "после"}
    assert door.child.poll() is None


def test_mails_in_flight_are_bounded_and_later_ones_told_to_wait(intake: Intake) -> None:
    mebibyte = 1024 * 1024
    intake.add_line()
    door = intake.start(
        "--only",
        "smtp",
        DESKLINE_INTAKE_MAIL_BYTES=str(8 * mebibyte),
        DESKLINE_INTAKE_SMTP_IN_FLIGHT_BYTES=str(16 * mebibyte),
    )
    send(door, mail())
    before = door.peak_kib()
    content = mail() + base64.encodebytes(os.urandom(5 * mebibyte)).replace(b"\n", b"\r\n")
    codes: list[int] = []

    def work(_: int) -> None:
        with door.client() as client:
            try:
                deliver(client, content)
                codes.append(250)
            except smtplib.SMTPDataError as refused:
                codes.append(refused.smtp_code)

    in_threads(24, work)
    assert set(codes) == {250, 452}
    assert len(stored(intake)) == 1 + codes.count(250)
    # In flight, the database client's copy, and what the transports buffer.
    assert door.peak_kib() - before < 3 * 16 * 1024
    send(door, mail("it lives"))


def test_mails_of_many_connections_share_commits_and_all_are_there(intake: Intake, door: Process) -> None:
    with ThreadPoolExecutor(16) as threads:
        ids = list(threads.map(lambda n: send(door, mail(f"{n}", sender=f"u{n}@client.example")), range(100)))
    assert {str(found) for (found,) in intake.sql("SELECT raw_id FROM raw_messages")} == set(ids)
    intake.messages(100, 40)
