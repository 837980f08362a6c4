"""Ends the processes of a start whose parent is gone without a word; a program of its own.

Run as `python -I -S guard.py MARK [FILE]`; FILE is removed first. Its standard input is a pipe of
which only the parent holds the other end: one line `PID BIRTH SIGNAL,SIGNAL…` for each process to
end, and the end of the file when the parent ends, however it ends. A parent-death signal would not
do: `unshare` clears it.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

MARK_NAME = "TALLYBOOK_UP"
STEP_S = 1.8  # three signals and their effect stay below five seconds
POLL_S = 0.03

Ladder = tuple[int, ...]
Doomed = dict[int, tuple[str, Ladder]]

ORDINARY: Ladder = (signal.SIGTERM, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none where the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def birth(pid: int) -> str:
    """When the process began, in ticks since boot, so that a recycled pid is never taken for it."""
    fields = _stat(pid)
    return fields[19] if fields else "?"


def alive(pid: int, born: str) -> bool:
    if _has_proc():
        fields = _stat(pid)
        return bool(fields) and fields[0] not in "ZX" and fields[19] == born
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def marked(mark: str) -> Doomed:
    """Return the processes whose mark begins so, also the workers of a server that has ended."""
    wanted = f"{MARK_NAME}={mark}".encode()
    found: Doomed = {}
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()] if _has_proc() else []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                carries = any(each.startswith(wanted) for each in file.read().split(b"\0"))
        except OSError:  # gone meanwhile, or another user's
            continue
        born = birth(pid)
        if carries and pid != os.getpid() and alive(pid, born):
            found[pid] = (born, ORDINARY)
    return found


def _has_proc() -> bool:
    return os.path.isdir("/proc/self")


def end(doomed: Doomed, find_more: Callable[[], Doomed]) -> bool:
    """Signal each until it is gone, one signal further every STEP_S; False if some are left."""
    began = time.monotonic()
    sent: set[tuple[int, int]] = set()
    while True:
        left = {pid: each for pid, each in {**find_more(), **doomed}.items() if alive(pid, each[0])}
        if not left:
            return True
        step = int((time.monotonic() - began) / STEP_S)
        if step > 3:
            return False
        for pid, (_, ladder) in left.items():
            rung = ladder[min(step, len(ladder) - 1)]
            if (pid, rung) not in sent:
                sent.add((pid, rung))
                _signal(pid, rung)
        time.sleep(POLL_S)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # gone meanwhile, or never ours


def main() -> None:
    # Ctrl-C reaches the whole group; this one stays until the others have gone.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    mark = sys.argv[1]
    doomed: Doomed = {}
    for line in sys.stdin:
        pid, born, ladder = line.split()
        doomed[int(pid)] = (born, tuple(int(number) for number in ladder.split(",")))
    for path in sys.argv[2:]:
        if os.path.exists(path):
            os.unlink(path)
    end(doomed, lambda: marked(mark))


if __name__ == "__main__":
    main()
