"""Turns itself into a server: as another user if asked, and bound to die with the thread that started it.

Run as a script (`python -I -S launch.py PARENT UID GID COMMAND …`) rather than as a preexec function: Python
code between fork and exec can deadlock in a process with threads.
"""

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522


def become(uid: int, gid: int) -> None:
    """Root gives up everything but looking into any folder: its packages often lie where only root may.

    Without the secure bit the kernel's access(2), with which PostgreSQL looks for its parts, ignores what is
    kept. Containers seldom have the narrower capability, but often the wider.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    for kept in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        only = 1 << kept  # effective, permitted, inheritable; twice 32 bits
        if libc.capset(header, (ctypes.c_uint32 * 6)(only, only, only, 0, 0, 0)) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept, 0, 0)
            return
    libc.capset(header, (ctypes.c_uint32 * 6)())


def main() -> None:
    parent, uid, gid = (int(value) for value in sys.argv[1:4])
    command = sys.argv[4:]
    if uid >= 0:
        become(uid, gid)
    if sys.platform == "linux":
        # After the change of user, which clears it; kept over exec.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec hands that on
        with contextlib.suppress(OSError, ValueError):
            signal.signal(ignored, signal.SIG_DFL)
    os.execvp(command[0], command)  # noqa: S606 - the command it was started for


if __name__ == "__main__":
    main()
