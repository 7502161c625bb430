"""The whole system on one machine: both servers, and every service under the supervisor."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import httpx

from deskline_local.deployment import SERVICES, Deployment, Doors
from deskline_local.errors import StackError
from deskline_local.mailbox import Letter, Mailbox
from deskline_local.ports import require_free
from deskline_local.server import Progress
from deskline_local.stack import Stack, open_stack
from deskline_local.supervisor import Supervisor

READY_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 120.0
WRONG_SETTINGS: Final = 2  # the exit code of a service whose environment is wrong


class Launch(Protocol):
    """How a service's process is started: tests that plant faults put something of their own before it."""

    def command(self, service: str) -> list[str]:
        """What runs the service's command line."""

    def environment(self, service: str, replica: int, told: dict[str, str]) -> dict[str, str]:
        """What the process is told, made of what the deployment tells it."""


class Installed:
    """The commands that were installed, told what the deployment tells them."""

    def command(self, service: str) -> list[str]:
        """The script beside this interpreter."""
        return [str(_command(service))]

    def environment(self, service: str, replica: int, told: dict[str, str]) -> dict[str, str]:  # noqa: ARG002
        """As it is."""
        return told


class System:
    """A deployment that runs: `with System(folder) as system: ...`; nothing is left of it afterwards."""

    def __init__(
        self,
        folder: Path,
        doors: Doors,
        *,
        stack: Stack | None = None,
        trace_sample: float = 0.01,
        progress: Progress = lambda _: None,
        lasting: bool = False,
        launch: Launch | None = None,
    ) -> None:
        self.folder = folder
        self._launch = launch or Installed()
        self._progress = progress
        self._owns_stack = stack is None
        self.stack = stack or open_stack(folder / "stack", progress=progress, lasting=lasting)
        self.deployment = Deployment(folder, self.stack, doors, trace_sample=trace_sample)
        self.mailbox = Mailbox(self.deployment.maildir, self.deployment.ports["mailbox"])
        self.supervisor = Supervisor()

    def start(self, replicas: int = 1) -> None:
        """Start everything and return when it is ready; raises StackError with what to look at."""
        require_free(self.deployment.ports["gateway"], "the gateway", "DESKLINE_GATEWAY_PORT")
        require_free(self.deployment.ports["smtp"], "the SMTP door", "DESKLINE_SMTP_PORT")
        require_free(self.deployment.ports["mailbox"], "the mailbox", "DESKLINE_MAILBOX_PORT")
        self.mailbox.start()
        if self._owns_stack:
            self._timed("Kafka and PostgreSQL", self.stack.start)
        self.deployment.create_databases()
        self._timed("databases and topics prepared", self._prepare)
        self._timed("services ready", lambda: self._start_services(replicas))

    def _timed(self, what: str, work: Callable[[], None]) -> None:
        started = time.monotonic()
        work()
        self._progress(f"{what} ({time.monotonic() - started:.1f} s)")

    def _prepare(self) -> None:
        with ThreadPoolExecutor(len(SERVICES)) as pool:
            for done in [pool.submit(self.command, service, "prepare") for service in SERVICES]:
                done.result()

    def _start_services(self, replicas: int) -> None:
        for replica in range(replicas):
            for service in SERVICES:
                self.start_service(service, replica)
        self.wait_ready()

    def start_service(self, service: str, replica: int = 0, *, only: str = "") -> None:
        """Put one process of a service under the supervisor; `only`: these of its loops, by commas."""
        name = service if replica == 0 else f"{service}-{replica}"
        self.supervisor.start(
            name,
            [*self._launch.command(service), "serve", *(("--only", only) if only else ())],
            self.deployment.log(name),
            self._launch.environment(service, replica, self.deployment.environment(service, replica)),
        )

    def wait_ready(self, services: Sequence[str] = SERVICES, timeout: float = READY_SECONDS) -> None:
        """Until each service's first replica says that it is ready; raises StackError."""
        waiting = dict.fromkeys(services, "no answer yet")

        def all_ready() -> bool:
            for service in list(waiting):
                answer = self._readiness(service)
                if answer is None:
                    del waiting[service]
                else:
                    waiting[service] = answer
            return not waiting

        deadline = time.monotonic() + timeout
        while not all_ready():
            ended = [name for name in waiting if WRONG_SETTINGS in self.supervisor.exit_codes(name)]
            if ended or time.monotonic() > deadline:
                raise StackError("\n".join(self._complaint(name, waiting[name]) for name in ended or waiting))
            self.supervisor.wait_for(lambda: False, 0.05)

    def _readiness(self, service: str) -> str | None:
        url = f"http://127.0.0.1:{self.deployment.ports[service]}/readyz"
        try:
            answer = httpx.get(url, timeout=2.0)
        except httpx.HTTPError as error:
            return type(error).__name__
        return None if answer.is_success else answer.text

    def _complaint(self, service: str, last: str) -> str:
        log = self.deployment.log(service)
        lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        return "\n".join([f"{service} did not become ready ({last}); the end of {log}:", *lines])

    def command(self, service: str, *arguments: str, seconds: float = COMMAND_SECONDS) -> str:
        """Run a command of a service and give what it printed; raises StackError, TimeoutExpired."""
        done = subprocess.run(  # noqa: S603 -- our own command
            [str(_command(service)), *arguments],
            env=self.deployment.environment(service),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(
                f"deskline-{service} {' '.join(arguments)} ended with {done.returncode}:"
                f" {(done.stderr or done.stdout).strip()}"
            )
        return done.stdout

    @property
    def gateway_url(self) -> str:
        """The door for people."""
        return self.deployment.gateway_url

    @property
    def smtp(self) -> tuple[str, int]:
        """The door for mail."""
        return "127.0.0.1", self.deployment.ports["smtp"]

    @property
    def bootstrap(self) -> str:
        """Its Kafka."""
        return self.stack.bootstrap

    @property
    def key_encryption_key(self) -> str:
        """What wraps persons' keys."""
        return self.deployment.key_encryption_key

    def letters(self, recipient: str | None = None) -> list[Letter]:
        """The mail that it sent."""
        return self.mailbox.letters(recipient)

    def owner_url(self, service: str) -> str:
        """A service's database as its owner."""
        return self.deployment.databases[service].owner_url

    def stop(self) -> None:
        """Stop the services, then the servers."""
        self.supervisor.stop()
        self.mailbox.stop()
        if self._owns_stack:
            self.stack.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _command(service: str) -> Path:
    return Path(sys.executable).with_name(f"deskline-{service}")
