"""A start in small, as a process that tests may kill: database, Redis, a server of two."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from app.embedded.folder import DataFolder
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords
from app.embedded.program import Guard, Program
from app.embedded.redis import EmbeddedRedis, find_server
from app.embedded.supervisor import Supervisor

PASSWORDS = Passwords(superuser="s" * 20, owner="o" * 20, application="a" * 20)
# A server whose worker does not end with it, as granian's would not under SIGKILL.
SERVER = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(99)'])"
)


async def main(data_dir: Path) -> None:
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    with DataFolder(data_dir) as folder, Guard(f"{folder.path}#{os.getpid()}.") as watcher:
        supervisor = Supervisor(folder.logs_dir, watcher, print)
        postgres = EmbeddedPostgres(folder.path, free_port(), PASSWORDS, {"fsync": "off"})
        await asyncio.to_thread(postgres.make)
        await supervisor.start(postgres.program())
        server = find_server()
        assert server is not None
        redis = EmbeddedRedis(server, folder.path, free_port(), "r" * 20)
        await supervisor.start(redis.program())
        command = (sys.executable, "-c", SERVER)
        await supervisor.start(Program(name="server", argv=command, environment=os.environ))
        while not postgres.is_ready(supervisor.pid("postgres")):
            await asyncio.sleep(0.01)
        names = ("postgres", "redis", "server")
        print(json.dumps({name: supervisor.pid(name) for name in names}), flush=True)
        await asked.wait()
        await supervisor.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
