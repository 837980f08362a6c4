"""What counts as a Stripe event at all, before anyone asks what it says."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.envelope import Envelope, EnvelopeError, envelope
from app.webhooks.translate import Thin, translate

EVENT: dict[str, object] = {
    "id": "evt_envelope_1",
    "object": "event",
    "type": "customer.updated",
    "created": 1_790_000_000,
    "livemode": False,
    "api_version": "2016-03-07; orders_beta=v3",
    "data": {"object": {"id": "cus_1", "object": "customer"}},
}
THIN: dict[str, object] = {
    "id": "evt_thin_1",
    "object": "v2.core.event",
    "type": "v1.customer.subscription.updated",
    "created": "2026-10-01T12:00:00.250Z",
    "livemode": True,
    "related_object": {"id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1"},
}


def refusal(body: bytes) -> str:
    with pytest.raises(EnvelopeError) as caught:
        envelope(body)
    assert "\0" not in caught.value.detail
    return caught.value.detail


def test_an_event_is_read_with_its_instant_in_utc() -> None:
    assert envelope(orjson.dumps(EVENT)) == Envelope(
        id="evt_envelope_1",
        type="customer.updated",
        created_at=datetime.fromtimestamp(1_790_000_000, UTC),
        livemode=False,
        api_version="2016-03-07; orders_beta=v3",
        event=EVENT,
    )


@pytest.mark.parametrize("left_out", ["object", "api_version"])
def test_what_old_shapes_lack_may_be_missing(left_out: str) -> None:
    event = {key: value for key, value in EVENT.items() if key != left_out}
    assert envelope(orjson.dumps(event)).id == "evt_envelope_1"


def test_a_thin_event_names_what_is_to_be_asked_for() -> None:
    read = envelope(orjson.dumps(THIN))
    assert read.created_at == datetime(2026, 10, 1, 12, 0, 0, 250_000, UTC)
    assert read.livemode is True
    told = translate(read.event)
    assert isinstance(told, Thin)
    assert (told.kind, told.url) == ("customer.subscription.updated", "/v1/subscriptions/sub_1")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON:"),
        (b"{", "no JSON:"),
        (b"\xff\xfe{}", "no JSON:"),
        (b'{"id": "\xff"}', "no JSON:"),
        (b'{"id": "\\ud800"}', "no JSON:"),
        (b"\xef\xbb\xbf{}", "no JSON:"),
        (b'{"a": NaN}', "no JSON:"),
        (b'{"a": 1' + b"0" * 5_000 + b"}", "no JSON:"),
        (b"{} {}", "no JSON:"),
        (b"[" * 100_000, "no JSON:"),
        (b"null", "no JSON object"),
        (b"[]", "no JSON object"),
        (b'[{"id": "evt_1"}]', "no JSON object"),
        (b'"evt_1"', "no JSON object"),
        (b"{}", "type is None"),
        (b'{"a":' * 64 + b"1" + b"}" * 64, "type is None"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nests deeper than 64"),
        (b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", "nests deeper than 64"),
        (b'{"id": "evt_1", "id": "evt_2"}', "'id' stands twice"),
        (b'{"data": {"object": {"\\u0000": 1, "\\u0000": 2}}}', "'\\x00' stands twice"),
    ],
)
def test_a_body_that_is_no_event_is_refused(body: bytes, why: str) -> None:
    assert why in refusal(body)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", None),
        ("id", ""),
        ("id", 7),
        ("id", "evt_\0"),
        ("id", "evt_\n"),
        ("id", "evt_" + "x" * 252),
        ("object", "customer"),
        ("object", None),
        ("type", None),
        ("type", "customer.\0updated"),
        ("type", {}),
        ("created", None),
        ("created", True),
        ("created", "1790000000"),
        ("created", 1_790_000_000.0),
        ("created", 0),
        ("created", -1),
        ("created", 2**32),
        ("livemode", None),
        ("livemode", "true"),
        ("livemode", 0),
        ("api_version", 20160307),
        ("api_version", "\0"),
        ("data", None),
        ("data", []),
        ("data", {}),
        ("data", {"object": None}),
        ("data", {"object": ["sub_1"]}),
    ],
)
def test_a_field_of_the_wrong_shape_is_refused_by_name(key: str, value: object) -> None:
    assert refusal(orjson.dumps({**EVENT, key: value})).startswith(key)


@pytest.mark.parametrize("created", ["", "today", "2026-10-01T12:00:00", "0001-01-01T00:00:00Z"])
def test_a_thin_event_needs_an_instant_with_a_zone(created: str) -> None:
    assert refusal(orjson.dumps({**THIN, "created": created})).startswith("created")


def test_an_id_of_255_characters_is_still_one() -> None:
    assert envelope(orjson.dumps({**EVENT, "id": "e" * 255})).id == "e" * 255


def test_a_refusal_is_an_invalid_payload() -> None:
    with pytest.raises(EnvelopeError) as caught:
        envelope(b"{}")
    assert caught.value.code == "invalid_payload"


@given(st.binary() | st.text().map(str.encode))
def test_no_body_raises_anything_else(body: bytes) -> None:
    refusal(body)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([*EVENT, "extra"]), json_values)
def test_any_value_in_any_place_is_read_or_refused(key: str, value: object) -> None:
    try:
        body = orjson.dumps({**EVENT, key: value})
    except TypeError:
        return  # orjson writes no lone surrogate
    with contextlib.suppress(EnvelopeError):
        read = envelope(body)
        assert all(text.isprintable() for text in (read.id, read.type, read.api_version or ""))


@pytest.mark.parametrize("text", ['a":b', '":":":', 'x" :', '"id": 1, "id": 2', '\\":', '\\\\":'])
@pytest.mark.parametrize("layout", [{}, {"indent": 1}, {"separators": (",", ":")}], ids=str)
def test_what_looks_like_a_key_inside_a_text_is_none(text: str, layout: dict[str, Any]) -> None:
    event = {**EVENT, "note": text}
    assert envelope(json.dumps(event, **layout).encode()).event == event


@pytest.mark.parametrize(
    "twice",
    [b'"note":1,"note":2', b'"note" : 1, "n\\u006fte"\n:2', b'"note":":","note":"\\":"'],
)
def test_a_key_that_stands_twice_is_found_however_it_is_written(twice: bytes) -> None:
    assert "'note' stands twice" in refusal(orjson.dumps(EVENT)[:-1] + b"," + twice + b"}")
