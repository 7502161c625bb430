"""The container engine by its command line, and an image as it is in there."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from deskline_local.deployment import SERVICES

ROOT: Final = Path(__file__).parents[2]
DEPLOYABLES: Final = (*SERVICES, "mailbox")
RUN_SECONDS: Final = 120.0

# As both compose and Kubernetes run it.
CONFINED: Final = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=10001:10001",
    "--network=none",
)

VOLUMES: Final = ("/var/lib/deskline/objects", "/var/lib/deskline/mailbox")

# Says what is in the image, from inside; nothing of ours has to be imported for it.
_LOOK: Final = """
import json, os, platform, shutil, stat, sys
from importlib.metadata import distributions
found = {"setuid": [], "writable": []}
for folder, folders, files in os.walk("/"):
    if folder == "/":
        folders[:] = [name for name in folders if name not in ("proc", "sys", "dev", "tmp")]
    for name in files + folders:
        path = os.path.join(folder, name)
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o6000:
            found["setuid"].append(path)
        if not stat.S_ISLNK(status.st_mode) and os.access(path, os.W_OK):
            found["writable"].append(path)
found["ids"] = [os.getuid(), os.getgid()]
found["python"] = platform.python_version()
found["tools"] = [name for name in sys.argv[1:] if shutil.which(name)]
found["packages"] = {one.metadata["Name"]: one.version for one in distributions()}
found["editable"] = [one.metadata["Name"] for one in distributions()
                     if '"editable": true' in (one.read_text("direct_url.json") or "")]
found["lists"] = os.listdir("/var/lib/apt/lists") if os.path.isdir("/var/lib/apt/lists") else []
print(json.dumps(found))
"""
TOOLS: Final = ("pip", "pip3", "uv", "gcc", "cc", "ld", "strip", "make", "git", "curl", "wget", "mvn", "go")


class EngineMissingError(Exception):
    """No engine answers, or an image isn't built."""


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of the engine; with `check` its failure is an assertion."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"docker {' '.join(arguments[:4])} … ended with {done.returncode}: {done.stderr}"
        )
    return done


def require_engine() -> None:
    """Raises EngineMissingError with what to do."""
    try:
        answered = docker("version", "--format", "{{.Server.Version}}", check=False)
    except FileNotFoundError:
        raise EngineMissingError("there is no docker command: these tests need a container engine") from None
    if answered.returncode != 0:
        raise EngineMissingError(
            f"no container engine answers (DOCKER_HOST={os.environ.get('DOCKER_HOST', 'unset')}):"
            f" {answered.stderr.strip()}"
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Image:
    """An image of ours, by what it is for."""

    service: str
    told: Mapping[str, Any]

    @classmethod
    def built(cls, service: str) -> Self:
        """The one that is there; raises EngineMissingError."""
        name = f"deskline-{service}:dev"
        found = docker("image", "inspect", name, check=False)
        if found.returncode != 0:
            raise EngineMissingError(f"the image {name} isn't built: run `make images`")
        return cls(service, json.loads(found.stdout)[0])

    @property
    def name(self) -> str:
        """As compose and the manifests name it."""
        return f"deskline-{self.service}:dev"

    @property
    def member(self) -> Path:
        """The folder of the workspace that it holds."""
        return ROOT / ("deploy" if self.service == "mailbox" else "services") / self.service

    @cached_property
    def contents(self) -> dict[str, Any]:
        """What is in it, seen by its own user."""
        done = docker("run", "--rm", *CONFINED, "--entrypoint=python3", self.name, "-c", _LOOK, *TOOLS)
        # The interpreter of the virtual environment: PATH names it first.
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen

    def run(self, *arguments: str, **variables: str) -> Ended:
        """Its command to the end, confined."""
        with self.running(*arguments, **variables) as container:
            code = int(docker("wait", container).stdout)
            written = docker("logs", container)
        return Ended(code, written.stdout, written.stderr)

    @contextmanager
    def running(self, *arguments: str, **variables: str) -> Iterator[str]:
        """Its command in the background, confined, with its volumes; gives the container, then removes it."""
        volumes = [f"--volume={folder}" for folder in VOLUMES]
        started = docker("run", "--detach", *CONFINED, *volumes, *_given(variables), self.name, *arguments)
        container = started.stdout.strip()
        try:
            yield container
        finally:
            docker("rm", "--force", "--volumes", container)


def _given(variables: Mapping[str, str]) -> list[str]:
    return [f"--env={name}={value}" for name, value in variables.items()]


def wait_for_line(container: str, pattern: str, timeout: float = 60.0) -> None:
    """Until the container wrote such a line; an assertion where it ended or the time is over."""
    deadline = time.monotonic() + timeout
    while True:
        written = docker("logs", container)
        if re.search(pattern, written.stdout + written.stderr):
            return
        state = docker("inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", container).stdout
        assert state.startswith("true"), f"ended ({state.strip()}): {written.stdout}{written.stderr}"
        assert time.monotonic() < deadline, f"no {pattern!r} in {timeout:.0f} s: {written.stdout[-2000:]}"
        time.sleep(0.2)
