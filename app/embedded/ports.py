"""Find a free loopback port, or who holds one that is taken."""

import os
import socket
from pathlib import Path

from app.embedded.start_error import StartError

LOOPBACK = "127.0.0.1"
LOOPBACK_NETWORKS = "127.0.0.0/8,::1/128"
_LISTENING = "0A"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def chosen_port(port: int) -> int:
    """The port itself if it is free, any free one for 0; a taken one is refused with the remedy."""
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        # Without this the remains of a server that just ended would count as taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            who = f" by {holder}" if (holder := _holder(port)) else ""
            raise StartError(
                f"Port {port} is taken{who} ({error.strerror}). "
                f"Choose another: --port N, or --port 0 for any free one (PORT=N with make)."
            ) from error
    return port


def _holder(port: int) -> str | None:
    """Read from /proc, a few milliseconds; None where that does not tell."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        try:
            if any(os.readlink(each) in inodes for each in (folder / "fd").iterdir()):
                return f"process {folder.name} ({(folder / 'comm').read_text().strip()})"
        except OSError:
            continue  # gone meanwhile, or another user's
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found
