"""Bodies of requests: within limits of size, of time, and of the memory of all together."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from starlette.datastructures import Headers

from sodslice.service import bodies
from sodslice.service.bodies import Body, ClientGone, Held, Limit, replay
from sodslice.service.envelope import Refusal

LIMIT = Limit(1000, 60.0)


def coming(*pieces: bytes, more: bool = False, pause_s: float = 0.0):
    """A client that sends these, and says that more follows after the last one."""
    left = list(pieces)

    async def receive():
        await asyncio.sleep(pause_s)
        if not left:
            return {"type": "http.disconnect"}
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left) or more}

    return receive


async def mute():
    await asyncio.Event().wait()


def body(receive, limit: Limit = LIMIT, *, held: Held | None = None, **headers: str) -> Body:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Body(receive, Headers(named), limit, held or Held(10_000))


def test_a_body_comes_as_it_was_sent():
    assert asyncio.run(body(coming(b"one", b"", b"two"), content_length="6").all()) == b"onetwo"


def test_a_request_without_a_body_has_none():
    assert asyncio.run(body(mute).all()) == b""
    assert asyncio.run(body(mute, content_length="0").all()) == b""


def test_a_head_that_says_too_much_is_refused_before_anything_comes():
    with pytest.raises(Refusal) as refused:
        body(mute, content_length="1001")
    assert refused.value.status_code == 413
    assert refused.value.detail == "the body of a request may have 0.0009537 MiB"


@pytest.mark.parametrize("said", [{}, {"content_length": "5"}, {"transfer_encoding": "chunked"}])
def test_what_comes_counts_whatever_the_head_says(said):
    said = said or {"transfer_encoding": "chunked"}
    with pytest.raises(Refusal) as refused:
        asyncio.run(body(coming(b"x" * 600, b"x" * 600), **said).all())
    assert refused.value.status_code == 413


def test_a_body_that_stops_is_given_up(monkeypatch):
    monkeypatch.setattr(bodies, "SILENCE_S", 0.02)
    with pytest.raises(Refusal) as refused:
        asyncio.run(body(mute, content_length="5").all())
    assert refused.value.status_code == 408


def test_a_body_that_trickles_is_given_up_when_its_time_is_over():
    trickle = coming(*[b"x"] * 999, pause_s=0.01)
    began = time.monotonic()
    with pytest.raises(Refusal) as refused:
        asyncio.run(body(trickle, Limit(1000, 0.1), content_length="999").all())
    assert refused.value.status_code == 408
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("slowest", "whole"), [(2.0, True), (0.0, False), (10.0, False)])
def test_a_body_that_moves_may_take_longer(monkeypatch, slowest, whole):
    now = [0.0]
    monkeypatch.setattr(bodies, "time", SimpleNamespace(monotonic=lambda: now[0]))
    pieces = coming(*[b"x" * 100] * 4)

    async def slowly():
        message = await pieces()
        now[0] += 50
        return message

    moving = body(slowly, Limit(1000, 60.0, slowest=slowest), content_length="400")
    if whole:
        assert len(asyncio.run(moving.all())) == 400  # 200 s; each piece gives 50 of them
        return
    with pytest.raises(Refusal) as refused:
        asyncio.run(moving.all())
    assert refused.value.status_code == 408


def test_a_client_that_leaves_is_no_fault():
    with pytest.raises(ClientGone):
        asyncio.run(body(coming(b"half", more=True), content_length="8").all())


def test_all_bodies_together_hold_no_more_than_they_may():
    held = Held(1000)
    first = body(coming(b"x" * 800), held=held, content_length="800")
    asyncio.run(first.all())
    assert held.now == 800
    with pytest.raises(Refusal) as refused:
        body(mute, held=held, content_length="201")
    assert refused.value.status_code == 429
    assert refused.value.headers == {"Retry-After": "1"}
    with pytest.raises(Refusal) as refused:  # also where the head says nothing of it
        asyncio.run(body(coming(b"x" * 201), held=held, transfer_encoding="chunked").all())
    assert refused.value.status_code == 429
    first.close()
    assert held.now == 0
    first.close()
    assert held.now == 0


def test_what_is_written_to_the_disk_holds_no_memory():
    held = Held(10)
    upload = body(coming(b"x" * 500), Limit(1000, 60.0, held=False), held=held, content_length="500")
    assert len(asyncio.run(upload.all())) == 500
    assert held.now == 0


def test_a_body_that_has_come_is_given_once_and_not_kept():
    receive = replay(b"all", coming())
    assert asyncio.run(receive()) == {"type": "http.request", "body": b"all", "more_body": False}
    assert asyncio.run(receive()) == {"type": "http.disconnect"}
