"""Where webhooks may go: nowhere private, however it is spelt, unless a setting names it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import msgspec
import pytest

from app.errors import ConfigurationError, WebhookUrlError
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings, load
from app.outgoing import addresses, sending
from app.outgoing.message import Message
from app.outgoing.sending import Sender
from tests.api_client import open_api
from tests.conftest import NOW
from tests.contract.test_settings import GOOD
from tests.outgoing.conftest import Hooks
from tests.receiver import Receiver, receiving

MESSAGE = Message(
    id=1,
    type="run.done",
    account_number=None,
    account_id=None,
    data={},
    effective_at=NOW,
    attempt_count=1,
    first_attempt_at=NOW,
)
PRIVATE = (
    *("127.0.0.1", "127.9.9.9", "10.0.0.8", "172.16.0.1", "172.31.255.254", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.2.7"),
    *("198.18.0.1", "240.0.0.1", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
    # Addresses that stand within another.
    *("::ffff:127.0.0.1", "::ffff:10.0.0.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:8"),
    *("2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1"),
)
PUBLIC = ("93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:93.184.215.14")


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(WebhookUrlError, match="is not public"):
        addresses.judge("https", [ip_address(address)], ())


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_let_in_by_https_alone(address: str) -> None:
    addresses.judge("https", [ip_address(address)], ())
    with pytest.raises(WebhookUrlError, match="https"):
        addresses.judge("http", [ip_address(address)], ())


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(WebhookUrlError):
        addresses.judge("https", [ip_address("1.1.1.1"), ip_address("10.0.0.8")], ())


def test_a_setting_lets_in_the_networks_that_it_names_and_no_other() -> None:
    allowed = (ip_network("10.1.0.0/16"),)
    addresses.judge("http", [ip_address("10.1.2.3")], allowed)
    for address in ("10.2.0.1", "127.0.0.1"):
        with pytest.raises(WebhookUrlError):
            addresses.judge("http", [ip_address(address)], allowed)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "http://1.1.1.1/",
        "https://1.1.1.1:0/",
        "https://1.1.1.1/#there",
        "https://1.1.1.1:99999/",
        "https://a..b/",
        f"https://{'a' * 64}.example/",
        "https://256.256.256.256/",
        "https://[::1/",
    ],
)
async def test_no_spelling_of_a_private_address_and_no_broken_one_can_be_put(
    database: Database, settings: Settings, url: str
) -> None:
    strict = msgspec.structs.replace(settings, webhooks_private=())
    async with open_api(database, strict) as api:
        body = {"url": url, "reason": "tests"}
        answer = await api.put("/api/v1/webhook-endpoints/main", body, "operator")
    assert (answer.status_code, answer.json()["code"]) == (422, "webhook_url"), url
    assert await database.fetchval("SELECT count(*) FROM webhook_endpoints") == 0


@pytest.mark.parametrize(
    "url", ["ftp://1.1.1.1/", "https://user:word@example.com/", "https:///x", "example.com", ""]
)
async def test_what_is_no_web_address_is_an_invalid_request(hooks: Hooks, url: str) -> None:
    answer = await hooks.put("main", url=url)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_a_name_is_resolved_once_and_the_connection_goes_to_that_address(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer would lead elsewhere, and is never asked for."""
    asked: list[str] = []

    def resolved(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    sender = Sender(pepper="p" * 16, allowed=(ip_network("127.0.0.1"),))
    async with receiving() as one:
        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        url = f"http://hooks.example:{one.port}/hooks"
        async with sending.opened(sender, url, [b"s" * 32]) as line:
            assert asked == ["hooks.example"]
            answer = await line.send(MESSAGE, NOW)
    assert answer.status == 404, "the receiver answered; it knows no such path"
    assert asked == ["hooks.example"]


async def test_no_proxy_of_the_environment_is_used(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await hooks.made(receiver)
        await hooks.tell("run.done")
        await hooks.deliver()
        assert (len(receiver.received), proxy.connection_count) == (1, 0)


def test_the_setting_is_a_list_of_networks() -> None:
    name = "TALLYBOOK_WEBHOOKS_PRIVATE"
    loaded = load(GOOD | {name: "10.0.0.0/8, ::1"})
    assert loaded.webhooks_private == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert load(GOOD).webhooks_private == ()
    with pytest.raises(ConfigurationError, match=f"{name} is not a list of networks"):
        load(GOOD | {name: "yes"})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of hooks.example, signed by itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"),
            *("-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize(
    ("name", "trusted", "status"),
    [
        ("hooks.example", True, 404),  # it answered: it knows no such path
        ("other.example", True, None),
        ("hooks.example", False, None),
    ],
)
async def test_the_certificate_must_be_the_names_although_the_number_is_connected_to(
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    trusted: bool,
    status: int | None,
) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    asked: list[str | None] = []
    serving.sni_callback = lambda _, told, __: asked.append(told)
    context = ssl.create_default_context(cafile=certificate if trusted else None)
    monkeypatch.setattr(sending, "_tls", lambda: context)
    async with receiving(serving) as one:
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one.port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])
        sender = Sender(pepper="p" * 16, allowed=(ip_network("127.0.0.1"),))
        url = f"https://{name}:{one.port}/nowhere"
        async with sending.opened(sender, url, [b"s" * 32]) as line:
            answer = await line.send(MESSAGE, NOW)
    assert (answer.status, asked) == (status, [name])
    assert status is not None or "CERTIFICATE_VERIFY_FAILED" in str(answer.error)
