"""dj-stripe behind gunicorn: its webhook view, and no more of Django than it needs.

It runs in the environment of the peers: `make bench-peers`. One process of sixteen threads, as the
others have sixteen connections. For each event it asks Stripe for the object; what Stripe would say
is told at once within the process, which no network does.
"""

from __future__ import annotations

import json
import os
import sys
from urllib.parse import urlsplit

import django
import stripe
from django.conf import settings

CONNECTIONS = 16
KEY = "sk_test_" + "0" * 24
TOLD = json.loads(os.environ["PEER_EVENT"])["data"]["object"]  # the subscription of customer 1
UUID = "6b0c2a52-41a5-4d40-9b6a-6c1f9c2b9a11"  # in the path of the endpoint

_url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY="bench",  # noqa: S106
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "djstripe"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _url.path[1:], "USER": _url.username, "PASSWORD": _url.password,
            "HOST": _url.hostname, "PORT": _url.port, "CONN_MAX_AGE": None,
        }
    },
    # Its tables straight from its models: its migrations take minutes.
    MIGRATION_MODULES=dict.fromkeys(("contenttypes", "auth", "djstripe")),
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
    STRIPE_TEST_SECRET_KEY=KEY,
    STRIPE_LIVE_MODE=False,
    LOGGING_CONFIG=None,
)  # fmt: skip
django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import path  # noqa: E402
from djstripe.models import Account, APIKey, WebhookEndpoint  # noqa: E402
from djstripe.views import ProcessWebhookView  # noqa: E402
from gunicorn.app.base import BaseApplication  # noqa: E402

# The path that all of the bench's webhooks go to; the view takes its endpoint from an argument.
urlpatterns = [path("api/webhooks/stripe", ProcessWebhookView.as_view(), {"uuid": UUID})]


class AtOnce(stripe.HTTPClient):
    """Stripe's API for whoever asks for one of the bench's objects."""

    name = "at once"

    def request(
        self, method: str, url: str, headers: object, post_data: object = None
    ) -> tuple[str, int, dict[str, str]]:
        """Answer by the id in the path."""
        parts = urlsplit(url).path.split("/")[2:]
        if len(parts) != 2:
            listed = {"object": "list", "data": [], "has_more": False, "url": url}
            return json.dumps(listed), 200, {}
        kind, thing_id = parts
        if kind == "subscriptions":
            told = json.dumps(TOLD).replace("bench_1", thing_id.removeprefix("sub_"))
        elif kind == "customers":
            told = json.dumps({**THING, "id": thing_id, "object": "customer", "email": None,
                               "balance": 0, "delinquent": False, "invoice_prefix": thing_id,
                               "invoice_settings": {}, "default_source": None})  # fmt: skip
        elif kind == "products":
            told = json.dumps({**THING, "id": thing_id, "object": "product", "name": thing_id,
                               "type": "service", "active": True})  # fmt: skip
        elif kind == "prices":
            told = json.dumps(TOLD["items"]["data"][0]["price"])
        else:
            return (
                json.dumps({"error": {"message": f"no {kind} here", "code": "resource_missing"}}),
                404,
                {},
            )
        return told, 200, {}

    def close(self) -> None:
        """Nothing is open."""


THING = {"livemode": False, "created": 1_767_225_600, "metadata": {}}


def prepare() -> None:
    """Make its tables, the endpoint with the bench's secret, and the account that owns the key."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    stripe.api_key, stripe.default_http_client = KEY, AtOnce()
    account = Account.objects.create(id="acct_bench", livemode=False)
    APIKey.objects.create(secret=KEY, livemode=False, type="secret", djstripe_owner_account=account)
    WebhookEndpoint.objects.create(
        id="we_bench", djstripe_uuid=UUID, secret=os.environ["STRIPE_WEBHOOK_SECRET"],
        livemode=False, enabled_events=["*"], status="enabled",
        url="http://127.0.0.1/", djstripe_owner_account=account,
    )  # fmt: skip


class Served(BaseApplication):
    """gunicorn without a configuration file."""

    def load_config(self) -> None:
        """Say what it is to be."""
        self.cfg.set("bind", f"127.0.0.1:{sys.argv[1]}")
        self.cfg.set("workers", 1)
        self.cfg.set("worker_class", "gthread")
        self.cfg.set("threads", CONNECTIONS)
        self.cfg.set("keepalive", 60)
        self.cfg.set("loglevel", "warning")

    def load(self) -> object:
        """Return Django's application."""
        return get_wsgi_application()


if __name__ == "__main__":
    prepare()
    Served(None).run()
