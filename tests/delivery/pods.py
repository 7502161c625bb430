"""Containers of rendered Pods, started by a Docker engine as a kubelet would start them."""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.delivery.authority import Authority
from tests.delivery.engine import docker
from tests.delivery.manifests import Document, Manifest, containers, pod_template
from tests.delivery.references import Overlay

# What a process says that was not given what it needs.
WRONG: Final = re.compile(
    r"Read-only file system|Permission denied|Operation not permitted|ModuleNotFoundError"
)
_REFERENCE: Final = re.compile(r"\$\((\w+)\)")
_UNITS: Final = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Started:
    """A running container and what its Pod says of it."""

    name: str
    definition: Document
    container: str

    def said(self) -> str:
        """Its log so far."""
        done = docker("logs", self.container)
        return done.stdout + done.stderr

    def exit_code(self) -> int | None:
        """None while it runs."""
        state = docker("inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", self.container)
        running, code = state.stdout.split()
        return None if running == "true" else int(code)

    def asked(self, probe: str) -> bool:
        """One round of the probe that its Pod has."""
        wanted = self.definition[probe]
        if "exec" in wanted:
            command = wanted["exec"]["command"]
        elif "tcpSocket" in wanted:
            command = ["bash", "-c", f"</dev/tcp/127.0.0.1/{self._port(wanted['tcpSocket']['port'])}"]
        else:
            # Our images have no other client.
            command = ["ready", str(self._port(wanted["httpGet"]["port"])), wanted["httpGet"]["path"]]
        return docker("exec", self.container, *command, check=False).returncode == 0

    def lacks(self) -> set[str] | None:
        """The loops that readiness names as red; None where it does not answer."""
        answer = docker("exec", self.container, "ready", "8080", "/readyz", check=False)
        if answer.returncode == 0:
            return set()
        found = re.search(r'\{"loops".*\}', answer.stdout)
        return None if found is None else set(json.loads(found.group())["loops"])

    def _port(self, wanted: int | str) -> int:
        named = {port["name"]: int(port["containerPort"]) for port in self.definition["ports"]}
        return named[wanted] if isinstance(wanted, str) else wanted

    def until(self, holds: Callable[[], bool], seconds: float) -> None:
        """Wait; a container that ended, or the time, is a failure with the end of its log."""
        deadline = time.monotonic() + seconds
        while not (self.exit_code() is None and holds()):
            ended = self.exit_code()
            assert ended is None, f"{self.name} ended with {ended}:\n{self.said()[-3000:]}"
            assert time.monotonic() < deadline, f"{self.name} after {seconds:.0f} s:\n{self.said()[-3000:]}"
            time.sleep(_POLL_SECONDS)

    def until_ended(self, seconds: float) -> int:
        """Wait for its end and give its exit code."""
        deadline = time.monotonic() + seconds
        while (code := self.exit_code()) is None:
            assert time.monotonic() < deadline, f"{self.name} still runs:\n{self.said()[-3000:]}"
            time.sleep(_POLL_SECONDS)
        return code


class Kubelet:
    """Starts what an overlay says, all on one network or each on none, and removes it all."""

    def __init__(self, overlay: Overlay, folder: Path, *, connected: bool) -> None:
        self._overlay = overlay
        self._folder = folder
        self.authority = Authority()
        self.secrets = overlay.secrets(self.authority.pem)
        self._maps = {one.name: one.document["data"] for one in overlay.of_kind("ConfigMap")}
        self.network = "none"
        if connected:
            name = f"deskline-{overlay.name}-{secrets.token_hex(4)}"
            self.network = docker("network", "create", name).stdout.strip()
        self._started: list[str] = []
        self._claimed: list[str] = []

    def close(self) -> None:
        """Remove containers, disks and network."""
        if self._started:
            docker("rm", "--force", "--volumes", *self._started)
        if self._claimed:
            docker("volume", "rm", *self._claimed)
        if self.network != "none":
            docker("network", "rm", self.network)

    def adopt(self, container: str) -> str:
        """A container that somebody else started here, to be removed with the others."""
        self._started.append(container)
        return container

    def start(self, workload: Manifest) -> list[Started]:
        """Every container of the workload's first Pod."""
        template = pod_template(workload) or {}
        return [self._start(workload, template["spec"], one) for one in containers(template)]

    def _start(self, workload: Manifest, pod: Document, container: Document) -> Started:
        pod_name = f"{workload.name}-0"
        flags = [f"--network={self.network}", f"--hostname={pod_name}"]
        if self.network != "none":
            flags.append(f"--network-alias={workload.name}")
        flags += _confined(pod["securityContext"] | container["securityContext"])
        flags.append(f"--memory={quantity(container['resources']['limits']['memory'])}")
        flags += self._mounts(workload, pod, container)
        variables = environment(container, self._maps, self.secrets, pod_name)
        flags += [f"--env={name}={value}" for name, value in variables.items()]
        assert "command" not in container, "an image's own entrypoint is what is tested"
        identity = docker("run", "--detach", *flags, container["image"], *container.get("args", []))
        started = self.adopt(identity.stdout.strip())
        return Started(f"{self._overlay.name}: {workload.name}", container, started)

    def _mounts(self, workload: Manifest, pod: Document, container: Document) -> list[str]:
        kinds = {volume["name"]: volume for volume in pod.get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in workload.spec.get("volumeClaimTemplates", [])}
        group = pod["securityContext"]["fsGroup"]
        flags = []
        for mount in container.get("volumeMounts", []):
            where, name = mount["mountPath"], mount["name"]
            if "secret" in kinds.get(name, {}):
                flags.append(f"--volume={self._written(workload.name, kinds[name])}:{where}:ro")
            elif name in claims:
                flags.append(f"--volume={self._claim(container['image'], group)}:{where}:nocopy")
            else:
                size = quantity(kinds[name]["emptyDir"]["sizeLimit"])
                flags.append(f"--volume={self._empty(size, group)}:{where}:nocopy")
        return flags

    def _empty(self, size: int, group: int) -> str:
        # Not --tmpfs: the engine gives that the permissions of a folder which the image has there.
        options = f"size={size},mode=2777,gid={group}"
        made = docker(
            "volume",
            "create",
            *("--opt", "type=tmpfs"),
            *("--opt", "device=tmpfs"),
            *("--opt", f"o={options}"),
        )
        volume = made.stdout.strip()
        self._claimed.append(volume)
        return volume

    def _claim(self, image: str, group: int) -> str:
        # A new disk belongs to root, and to the group that the Pod is given.
        volume = docker("volume", "create").stdout.strip()
        self._claimed.append(volume)
        docker(
            *("run", "--rm", "--network=none", "--user=0:0", f"--volume={volume}:/claim:nocopy"),
            *("--entrypoint=sh", image, "-c", f"chgrp {group} /claim && chmod 2775 /claim"),
        )
        return volume

    def _written(self, workload: str, volume: Document) -> Path:
        folder: Path = self._folder / workload / volume["name"]
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        for item in volume["secret"]["items"]:
            file = folder / item["path"]
            file.write_text(self.secrets[volume["secret"]["secretName"]][item["key"]])
            file.chmod(0o644)
        return folder


def environment(
    container: Document, maps: dict[str, dict[str, str]], hidden: dict[str, dict[str, str]], pod: str
) -> dict[str, str]:
    """The variables of a container as the kubelet makes them; what is optional and not there is left out."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]
    for variable in container.get("env", []):
        if "value" in variable:
            # Only what stands before is known; the rest stays as it is written.
            found[variable["name"]] = _REFERENCE.sub(
                lambda match: found.get(match.group(1), match.group(0)), variable["value"]
            )
        elif "fieldRef" in variable["valueFrom"]:
            assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
            found[variable["name"]] = pod
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            value = hidden.get(reference["name"], {}).get(reference["key"])
            if value is not None:
                found[variable["name"]] = value
            else:
                assert reference.get("optional"), f"no Secret {reference['name']} with {reference['key']}"
    return found


def quantity(text: str) -> int:
    """`512Mi` in bytes."""
    number, unit = re.fullmatch(r"(\d+)(|Ki|Mi|Gi)", text).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]


def _confined(context: Document) -> list[str]:
    flags = [f"--user={context['runAsUser']}:{context['runAsGroup']}", f"--group-add={context['fsGroup']}"]
    flags += [f"--cap-drop={name}" for name in context["capabilities"]["drop"]]
    flags += ["--read-only"] if context["readOnlyRootFilesystem"] else []
    return flags + ([] if context["allowPrivilegeEscalation"] else ["--security-opt=no-new-privileges"])


def in_order(started: Sequence[Started]) -> Iterator[str]:
    """What went wrong in their logs."""
    for one in started:
        for line in one.said().splitlines():
            if WRONG.search(line):
                yield f"{one.name}: {line[:300]}"
