"""A name that stands twice in a JSON object is found, in time that grows with the body alone."""

from __future__ import annotations

import time

import pytest

from app.infrastructure.json_names import name_given_twice


@pytest.mark.parametrize(
    ("body", "kept", "name"),
    [
        (b'{"a": 1, "b": 2}', 2, None),
        (b'{"a": 1, "a": 2}', 1, "a"),
        (b'{"a": {"b": 1}, "b": [{"c": 1}, {"c": 2}]}', 5, None),
        (b'{"a": [{"c": 1, "d": 2, "c": 3}]}', 3, "c"),
        (b'{"a": "x\\":", "b": 1}', 2, None),
    ],
)
def test_a_name_given_twice_is_found(body: bytes, kept: int, name: str | None) -> None:
    assert name_given_twice(body, kept) == name


def test_a_large_body_whose_last_name_is_given_twice_takes_no_longer() -> None:
    """Each name was counted among all: 24,000 of them stopped the process for 10 s."""
    names = [*range(60_000), 59_999]
    body = ("{" + ",".join(f'"{number}":1' for number in names) + "}").encode()
    started = time.perf_counter()
    assert name_given_twice(body, 60_000) == "59999"
    assert time.perf_counter() - started < 2.0
