"""Database, Redis, server and worker in one foreground process group, until a signal."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.embedded import guard
from app.embedded.devbook import DevBook
from app.embedded.folder import DataFolder
from app.embedded.own_name import of_folder, own_name
from app.embedded.ports import LOOPBACK, LOOPBACK_NETWORKS, chosen_port, free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords
from app.embedded.prepare import prepare
from app.embedded.program import Guard, Program
from app.embedded.redis import EmbeddedRedis, find_server
from app.embedded.secrets import Secrets, load_or_make
from app.embedded.start_error import StartError, log_tail
from app.embedded.supervisor import Supervisor
from app.errors import ConfigurationError
from app.infrastructure.db import opened
from app.infrastructure.variables import read_variable
from app.reconcile.store import compared_once, taken_over

if TYPE_CHECKING:
    from rich.console import Console

PORT_DEFAULT = 8787
DATA_DIR_DEFAULT = Path(".tallybook")
DATABASE_READY_S_MAX = 60.0  # recovery after a power cut included
SERVER_READY_S_MAX = 30.0
POLL_S = 0.03
FIRST_COMPARISON_S_MAX = 300.0  # of thousands of subscriptions; what is known by then is told
FIRST_COMPARISON_POLL_S = 0.5

AfterReady = Callable[[DevBook], Awaitable[int | None]]


@dataclass
class _Stop:
    """The first signal asks for an orderly end, a second one for an end at once."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: Callable[[], None] = lambda: None

    def receive(self) -> None:
        if self.asked.is_set():
            self.at_once()
        self.asked.set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        # Under nohup the hang-up is ignored, and stays so.
        hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
        numbers = [signal.SIGINT, signal.SIGTERM, *hang_up]
        for number in numbers:
            loop.add_signal_handler(number, self.receive)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


async def up(
    *,
    port: int = PORT_DEFAULT,
    data_dir: Path = DATA_DIR_DEFAULT,
    tiers: Path | None = None,
    clock: datetime | None = None,
    announce: "Console",
    after_ready: AfterReady | None = None,
) -> int:
    """Run everything until SIGINT or SIGTERM, or until `after_ready` returns an exit code.

    Returns the exit code; 1 with a printed sentence where the start was refused.
    """
    stop = _Stop()
    try:
        with (
            DataFolder(data_dir) as folder,
            Guard(_mark(folder, os.getpid()), withdraws=folder.book_path) as watcher,
            stop.listening(),
        ):
            supervisor = Supervisor(folder.logs_dir, watcher, announce.print)
            stop.at_once = supervisor.stop_at_once
            start = _Start(folder, supervisor, announce, pastes=after_ready is None)
            running = asyncio.create_task(start.run(port, tiers, clock, after_ready))
            try:
                return await _until_asked(running, stop.asked)
            finally:
                folder.withdraw()
                await supervisor.stop()
    except (StartError, ConfigurationError) as refusal:
        announce.print(str(refusal), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1


async def _until_asked(running: asyncio.Task[int], asked: asyncio.Event) -> int:
    asking = asyncio.create_task(asked.wait())
    await asyncio.wait({running, asking}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        asking.cancel()
        return running.result()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return 0


class _Start:
    def __init__(
        self, folder: DataFolder, supervisor: Supervisor, announce: "Console", *, pastes: bool
    ) -> None:
        self._pastes = pastes
        self._folder = folder
        self._supervisor = supervisor
        self._announce = announce

    async def run(
        self,
        port: int,
        tiers: Path | None,
        clock: datetime | None,
        after_ready: AfterReady | None,
    ) -> int:
        await asyncio.to_thread(_end_leftovers, self._folder)
        port = chosen_port(port)
        secrets = load_or_make(self._folder.secrets_path)
        environment = _environment(secrets)
        await self._start_redis(environment, secrets)
        await self._start_postgres(environment, secrets)
        keys = await prepare(
            environment, tiers=tiers, clock=clock, secrets=secrets, tell=self._announce.print
        )
        owner_url = environment.pop("DATABASE_OWNER_URL", None)
        await self._start_service(environment, port)
        book = DevBook(
            base_url=f"http://{LOOPBACK}:{port}",
            database_url=environment["DATABASE_URL"],
            database_owner_url=owner_url,
            redis_url=environment.get("REDIS_URL"),
            stripe_webhook_secret=environment["STRIPE_WEBHOOK_SECRET"].split(",")[0].strip(),
            cron_secret=environment["CRON_SECRET"],
            keys=keys,
        )
        self._folder.publish(book)
        self._tell(book)
        with _beside(self._tell_taken_over(environment)):
            if after_ready and (code := await after_ready(book)) is not None:
                return code
            await asyncio.Event().wait()  # from here on only a signal ends it
        raise AssertionError

    async def _tell_taken_over(self, environment: dict[str, str]) -> None:
        """Tell how many subscribers were taken over, once they have been compared."""
        if read_variable(environment, "STRIPE_API_KEY") is None:
            return
        async with opened(environment["DATABASE_URL"], 1) as database:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_COMPARISON_S_MAX):
                    while not await compared_once(database):  # noqa: ASYNC110 - a row of theirs
                        await asyncio.sleep(FIRST_COMPARISON_POLL_S)
            told = await taken_over(database)
        if told is not None:
            self._announce.print(f"  Stripe     {told}.", highlight=False, soft_wrap=True)

    async def _start_redis(self, environment: dict[str, str], secrets: Secrets) -> None:
        if "REDIS_URL" in environment:
            return
        server = find_server()
        if server is None:
            self._announce.print(
                "There is no Redis: neither wheel has one for this Python, and none is installed. "
                "Nudges fall back to polling; nothing is lost."
            )
            return
        redis = EmbeddedRedis(server, self._folder.path, free_port(), secrets.redis_password)
        await self._supervisor.start(redis.program())
        environment["REDIS_URL"] = redis.url

    async def _start_postgres(self, environment: dict[str, str], secrets: Secrets) -> None:
        if "DATABASE_URL" in environment:
            return
        passwords = Passwords(
            superuser=secrets.postgres_superuser_password,
            owner=secrets.postgres_owner_password,
            application=secrets.postgres_application_password,
        )
        postgres = EmbeddedPostgres(self._folder.path, free_port(), passwords)
        if not postgres.exists():
            self._announce.print(f"Making a database in {self._folder.path} …")
        await asyncio.to_thread(postgres.make)
        await self._supervisor.start(postgres.program())

        async def answers() -> bool:
            return postgres.is_ready(self._supervisor.pid("postgres"))

        await self._wait(
            answers,
            names=("postgres",),
            deaths_max=3,  # processes of a killed server may hold its memory for a moment
            seconds_max=DATABASE_READY_S_MAX,
        )
        environment["DATABASE_URL"] = postgres.application_url
        environment["DATABASE_OWNER_URL"] = postgres.owner_url

    async def _start_service(self, environment: dict[str, str], port: int) -> None:
        # -P: a package named app in the current folder is not ours.
        tallybook = (sys.executable, "-P", "-m", "app")
        await self._supervisor.start(
            Program(
                name="server",
                argv=(*tallybook, "serve", "--port", str(port)),
                environment=environment,
            ),
            Program(name="worker", argv=(*tallybook, "worker"), environment=environment),
        )

        async def answers() -> bool:
            return await _status(port, "/health/ready") == 200

        await self._wait(
            answers, names=("server", "worker"), deaths_max=0, seconds_max=SERVER_READY_S_MAX
        )

    async def _wait(
        self,
        answers: Callable[[], Awaitable[bool]],
        *,
        names: tuple[str, ...],
        deaths_max: int,
        seconds_max: float,
    ) -> None:
        try:
            async with asyncio.timeout(seconds_max):
                while not await answers():
                    for name in names:
                        if self._supervisor.deaths(name) > deaths_max:
                            raise self._failure(name, "ended")
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise self._failure(names[0], f"was not ready in {seconds_max:g} s") from None

    def _failure(self, name: str, what: str) -> StartError:
        log = self._supervisor.log(name)
        return StartError(f"The {name} {what}. The end of its log, {log}:\n{log_tail(log)}")

    def _tell(self, book: DevBook) -> None:
        self._announce.print(
            f"[bold green]Tallybook is ready[/] at [bold]{book.base_url}[/]\n"
            f"  console    {book.base_url}/console\n"
            f"  interface  {book.base_url}/schema\n"
            f"  keys       {self._folder.book_path}\n"
            f"  logs       {self._folder.logs_dir}\n"
            "  Ctrl-C stops it; the next start finds the data.",
            soft_wrap=True,
        )
        if self._pastes:
            for line in first_steps(self._folder.path):
                self._announce.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _beside(telling: Coroutine[Any, Any, None]) -> Iterator[None]:
    """Let this go on beside what is done within; it matters to nobody if it fails."""
    task = asyncio.create_task(telling)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        yield
    finally:
        task.cancel()


def first_steps(data_dir: Path) -> list[str]:
    """Lines to paste into another shell: the keys, a first account, a first spend."""
    curl = """curl -sw '\\n' -H "Authorization: Bearer $SERVICE_KEY" """
    body = "-H 'Content-Type: application/json' -d"
    account = '"$BASE_URL/api/v1/accounts/me'
    return [
        "To paste into another shell:",
        f'  eval "$({own_name()} env{of_folder(data_dir, DATA_DIR_DEFAULT)})"',
        f"""  {curl}-X PUT {account}" {body} '{{}}'""",
        f"""  {curl}-H 'Idempotency-Key: first' {account}/spends" {body} '{{"amount": 1}}'""",
        f"  {own_name()} why me",
    ]


def _mark(folder: DataFolder, pid: int) -> str:
    # The birth keeps an earlier guard, still at work, from taking our children for its own.
    return f"{folder.path}#{pid}.{guard.birth(pid)}."


def _end_leftovers(folder: DataFolder) -> None:
    """End the processes of an earlier start on this folder that died together with its guard."""
    guard.end({}, lambda: guard.marked(f"{folder.path}#"))


def _environment(secrets: Secrets) -> dict[str, str]:
    """The children's: ours, with what is neither set nor in a NAME_FILE taken from the folder."""
    made = {
        "STRIPE_WEBHOOK_SECRET": secrets.stripe_webhook_secret,
        "CRON_SECRET": secrets.cron_secret,
        "TALLYBOOK_KEY_PEPPER": secrets.key_pepper,
        "TALLYBOOK_SEAL_KEY": secrets.seal_key,
        "TALLYBOOK_ENV": "development",
        "TALLYBOOK_RATE_LIMIT": "off",  # here only where it is asked for
        "TALLYBOOK_WEBHOOKS_PRIVATE": LOOPBACK_NETWORKS,
        "TALLYBOOK_MCP": "read",
        "PYTHONUNBUFFERED": "1",
    }
    outer = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", *made)
    stated = {name: value for name in outer if (value := read_variable(os.environ, name))}
    inherited = {k: v for k, v in os.environ.items() if k.removesuffix("_FILE") not in outer}
    return {**inherited, **made, **stated}


async def _status(port: int, path: str) -> int | None:
    """The answer's HTTP status; None while nobody listens. No client is imported for one line."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return None
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode()
        )
        words = (await reader.readline()).split()
        return int(words[1]) if len(words) > 1 else None
    except OSError:
        return None
    finally:
        writer.close()
