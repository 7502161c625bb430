"""Turns itself into a server: as another user if asked, and bound to die with the thread that started it.

Run as a script (`python -I -S launch.py PARENT UID GID COMMAND …`) rather than as a preexec function: Python
code between fork and exec can deadlock in a process with threads.
"""

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522


def become(uid: int, gid: int) -> None:
    """Root gives up everything but reading: its installed servers often lie where only root may look."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    only = 1 << CAP_DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable; twice 32 bits. Where root lacks it, both calls change nothing.
    libc.capset(header, (ctypes.c_uint32 * 6)(only, only, only, 0, 0, 0))
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0)


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
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
