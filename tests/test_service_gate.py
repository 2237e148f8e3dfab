"""The gate: tokens, hosts and origins, limits, and what is logged and counted of what strangers send."""

from __future__ import annotations

import asyncio
import json
import logging
import re

import pytest
from starlette.testclient import TestClient

from sodslice.service import gate as gates
from sodslice.service.app import make_app
from sodslice.service.gate import Gate
from sodslice.service.metrics import Metrics
from sodslice.service.settings import ServiceSettings
from sodslice.settings import Options
from tests.raw_http import sample

TOKEN = "0123456789abcdef-right"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content-Type": "application/json"}
HERE = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> ServiceSettings:
    root = tmp_path_factory.mktemp("root")
    options = Options.from_mapping({"model": "blobs"})
    return ServiceSettings(data=tmp_path_factory.mktemp("data"), root=root, options=options, token=TOKEN)


@pytest.fixture(scope="module")
def service(settings):
    with TestClient(make_app(settings), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def open_service(tmp_path_factory):
    """One without a token, on loopback."""
    options = Options.from_mapping({"model": "blobs"})
    app = make_app(ServiceSettings(data=tmp_path_factory.mktemp("open"), options=options))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def refused(answer, status: int) -> str:
    """The reason, of an error in the envelope."""
    found = answer.json()
    assert (answer.status_code, found["errorCode"]) == (status, status), answer.text
    assert set(found) == {"logId", "errorCode", "errorMsg"}
    assert "\n" not in found["errorMsg"]
    return found["errorMsg"]


# Tokens


def paths_of(client: TestClient) -> list[tuple[str, str]]:
    """Methods and paths of all routes, those of the page and of the OpenAPI as well."""
    documented = client.get("/openapi.json", headers=RIGHT).json()["paths"]
    routes = [(method.upper(), path) for path, methods in documented.items() for method in methods]
    return [*routes, ("GET", "/"), ("GET", "/openapi.json"), ("GET", "/nowhere"), ("POST", "/health")]


def test_without_the_token_nothing_is_to_be_had_but_the_page_and_health(service):
    told = {}
    for method, path in paths_of(service):
        told[method, path] = service.request(method, path.format(job_id="a", name="result.json"))
    free = {asked for asked, answer in told.items() if answer.status_code != 401}
    assert free == {("GET", "/"), ("GET", "/health"), ("POST", "/health")}
    assert len(told) > 10
    for asked, answer in told.items():
        if asked not in free:
            refused(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", gates.OPEN)
def test_what_needs_no_token_tells_nothing_of_the_service(service, settings, path):
    answer = service.get(path)
    assert answer.status_code == 200
    for secret in (TOKEN, str(settings.data), str(settings.root)):
        assert secret not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_spelt_in_any_case(service, scheme):
    assert service.get("/jobs", headers={"Authorization": f"{scheme} {TOKEN}"}).status_code == 200
    assert service.get("/jobs", headers={"Authorization": f"{scheme}  {TOKEN} "}).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        [],
        [("Authorization", "")],
        [("Authorization", TOKEN)],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", f"Bearer {TOKEN[:-1]}")],
        [("Authorization", f"Bearer {TOKEN}x")],
        [("Authorization", f"Bearer {TOKEN.upper()}")],
        [("Authorization", f"Basic {TOKEN}")],
        [("Authorization", f"Bearer Bearer {TOKEN}")],
        [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {TOKEN}")],
        [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {TOKEN}")],
        [("Authorization", b"Bearer \xff\xfe")],
        [("X-Token", TOKEN), ("Cookie", f"token={TOKEN}")],
    ],
)
def test_any_other_token_is_refused(service, given):
    assert refused(service.get("/jobs", headers=given), 401) == (
        "a token is needed: Authorization: Bearer TOKEN"
    )


def test_a_token_in_the_address_is_none(service):
    for name in ("token", "access_token", "authorization"):
        refused(service.get("/jobs", params={name: TOKEN}), 401)


def test_tokens_are_compared_by_digests_of_one_length(service, monkeypatch):
    compared = []

    def compare(one, other):
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(gates.hmac, "compare_digest", compare)
    for given in ("x", TOKEN, "x" * 5000):
        service.get("/jobs", headers={"Authorization": f"Bearer {given}"})
    assert len(compared) == 3
    assert {(type(part), len(part)) for pair in compared for part in pair} == {(bytes, 32)}


def test_the_token_is_in_no_answer_log_or_text(service, settings, caplog):
    for name in ("sodslice", "uvicorn", "fastapi", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    said = [
        service.get("/jobs", params={"token": TOKEN}).text,
        service.get(f"/jobs/{'a' * 24}?token={TOKEN}", headers=RIGHT).text,
        service.post("/jobs", headers=RIGHT, json={"path": "no"}).text,
        service.get("/metrics", headers=RIGHT).text,
        service.get("/openapi.json", headers=RIGHT).text,
        service.get("/jobs", headers={"Authorization": f"Bearer {TOKEN}x"}).text,
        repr(settings),
    ]
    ours = [one.getMessage() for one in caplog.records if not one.name.startswith("http")]  # no client's
    assert not [text for text in (*said, *ours) if TOKEN in text]
    assert any('"/jobs"' in text for text in ours)


# Hosts and origins


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "127.0.0.2", "[::1]"]
)
def test_without_a_token_this_machine_is_answered(open_service, host):
    assert open_service.get("/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "", "0.0.0.0",
     "192.168.1.2", "[::ffff:10.0.0.1]", "::1", "[::1", "2130706433", "a@127.0.0.1"],
)  # fmt: skip
def test_without_a_token_no_other_name_is_answered(open_service, host):
    """A name of a stranger's that leads here is DNS rebinding."""
    for path in ("/jobs", "/", "/health"):
        assert "localhost" in refused(open_service.get(path, headers={"Host": host}), 421)


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "https://127.0.0.1", "file://", "", "http://"]
)
def test_pages_of_other_sites_change_nothing(open_service, service, origin):
    for client, more in ((open_service, {}), (service, RIGHT)):
        for method, path in (("POST", "/jobs"), ("POST", "/uploads"), ("DELETE", "/jobs/a")):
            answer = client.request(
                method, path, headers={**more, "Origin": origin, "Content-Type": "text/plain"}
            )
            assert refused(answer, 403) == "pages of other sites may not use this service"


def test_an_origin_of_nothing_is_not_that_of_a_request_without_a_host():
    answer = asked([], method="POST", headers={"origin": "null"}, token=TOKEN)
    assert answer.status == 403


@pytest.mark.parametrize("origin", [HERE, HERE.upper(), HERE.replace("http:", "https:")])
def test_its_own_page_may_ask(open_service, origin):
    answer = open_service.post("/jobs", headers={"Origin": origin, **JSON}, content=b"{}")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("site", "dest", "status"),
    [
        ("cross-site", "image", 403),
        ("same-site", "script", 403),
        ("cross-site", "iframe", 403),
        ("cross-site", "document", 200),
        ("same-origin", "empty", 200),
        ("none", "document", 200),
    ],
)
def test_other_sites_show_nothing_from_here_but_may_link_to_it(open_service, site, dest, status):
    answer = open_service.get("/jobs", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Dest": dest})
    assert answer.status_code == status


def test_nobody_else_is_told_that_he_may_read_answers(service):
    for method in ("OPTIONS", "GET", "POST"):
        head = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST", **RIGHT}
        answer = service.request(method, "/jobs", headers=head)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_methods_that_no_route_has_are_refused(service, method):
    assert service.request(method, "/jobs", headers=RIGHT).status_code == 405
    assert service.request(method, "/jobs").status_code == 401


# Bodies and those who wait


class Asked:
    """What a gate answers to one request, and what its app was given."""

    def __init__(self) -> None:
        self.status, self.headers, self.body, self.seen = 0, {}, b"", []


def asked(
    pieces,
    *,
    method="POST",
    path="/small-object-detection",
    headers=None,
    token=None,
    inner=None,
    gate=None,
    **more,
) -> Asked:
    """Ask a gate alone, with pieces as they come from a server; after the last one the client is gone."""
    found, left = Asked(), list(pieces)

    async def echo(scope, receive, send):
        while True:
            message = await receive()
            found.seen.append(message)
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"yes"})

    async def receive():
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            found.status, found.headers = message["status"], dict(message["headers"])
        else:
            found.body += message["body"]

    if gate is None:
        how = ServiceSettings(data=None, token=token, **more)
        gate = Gate(inner or echo, how, Metrics(), end_streams=lambda: None)
    head = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "headers": head, "client": ("::1", 1)}
    asyncio.run(gate(scope, receive, send))
    return found


def piece(body: bytes, *, more: bool = False) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


LOCAL = {"host": "localhost"}


def test_an_app_sees_a_picture_when_all_of_it_has_come():
    answer = asked([piece(b"a", more=True), piece(b"b")], headers={**LOCAL, "content-length": "2"})
    assert answer.status == 200
    assert [one["body"] for one in answer.seen] == [b"ab"]
    assert b"connection" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("POST", "/small-object-detection", 100),
        ("POST", "/uploads", 200),
        ("POST", "/jobs", gates.MOST_JSON),
        ("PUT", "/uploads", gates.MOST_JSON),
        ("POST", "/", gates.MOST_USELESS),
        ("POST", "/health", gates.MOST_USELESS),
        ("GET", "/jobs", gates.MOST_USELESS),
    ],
)
def test_each_route_has_its_limit(method, path, most):
    for body, status in ((most, 200), (most + 1, 413)):
        for said in ({"content-length": str(body)}, {"transfer-encoding": "chunked"}):
            pieces = [piece(b"x" * body)]
            how = {"most_body": 100, "most_upload": 200} if body <= 201 else {}
            answer = asked(pieces, method=method, path=path, headers={**LOCAL, **said}, **how)
            assert answer.status == status


def test_what_is_refused_before_it_has_come_closes_the_connection():
    big = asked([], headers={**LOCAL, "content-length": str(2 << 30)})
    assert (big.status, big.headers[b"connection"]) == (413, b"close")
    assert json.loads(big.body)["errorMsg"] == "the body of a request may have 64 MiB"
    assert not big.seen
    unknown = asked([piece(b"x", more=True)], headers={**LOCAL, "content-length": "5"}, token=TOKEN)
    assert (unknown.status, unknown.headers[b"connection"]) == (401, b"close")


def test_a_length_that_is_no_number_counts_for_none():
    for said in ("-1", "1e9", "0x10", "\xb2", "9" * 5000):
        answer = asked([piece(b"x" * 101)], headers={**LOCAL, "content-length": said}, most_body=100)
        assert answer.status == 413, said


def test_json_of_many_small_parts_is_refused_before_it_is_read():
    for bomb in (b"[" * 30_000, b'{"a":' * 15_000, b"[" + b"0," * 30_000, b'{"image":{' + b'"a":1,' * 15_000):
        for path in ("/small-object-detection", "/jobs"):
            answer = asked([piece(bomb)], path=path, headers={**LOCAL, "content-length": str(len(bomb))})
            assert (answer.status, answer.seen) == (422, [])
    long = b'{"image":"' + b"A" * 60_000_000 + b'"}'
    assert asked([piece(long)], headers={**LOCAL, "content-length": str(len(long))}).status == 200


def test_a_client_that_leaves_is_noted_and_nothing_else(caplog):
    caplog.set_level(logging.INFO, "sodslice.access")
    answer = asked([piece(b"half", more=True)], headers={**LOCAL, "content-length": "8"})
    assert (answer.status, answer.seen) == (0, [])
    assert json.loads(caplog.messages[-1])["status"] == 499


def test_bodies_that_are_still_coming_take_no_place_from_those_that_wait():
    """So that a few who send slowly cannot keep all others out."""

    async def story():
        entered, done = [], asyncio.Event()

        async def inner(scope, receive, send):
            entered.append(await receive())
            await done.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        gate = Gate(inner, ServiceSettings(data=None, waiting=2), Metrics(), end_streams=lambda: None)
        slow = [ask(gate, None) for _ in range(50)]
        quick = [ask(gate, b"x"), ask(gate, b"x")]
        await settled()
        assert len(entered) == 2
        assert await ask(gate, b"x") == 429
        done.set()
        assert await asyncio.gather(*quick) == [200, 200]
        assert await ask(gate, b"x") == 200
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert gate._held.now == 0

    asyncio.run(story())


def ask(gate: Gate, body: bytes | None) -> asyncio.Task[int]:
    """A picture that comes at once, or (None) never; gives the status of the answer."""
    statuses: list[int] = []

    async def receive():
        if body is None:
            await asyncio.Event().wait()
        return piece(body or b"")

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def one():
        head = [(b"host", b"localhost"), (b"content-length", b"1")]
        scope = {"type": "http", "method": "POST", "path": "/small-object-detection", "headers": head}
        await gate(scope, receive, send)
        return statuses[0]

    return asyncio.ensure_future(one())


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_bodies_of_many_pictures_hold_four_times_the_largest_and_no_more():
    async def story():
        done = asyncio.Event()

        async def inner(scope, receive, send):
            await receive()
            await done.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        gate = Gate(inner, ServiceSettings(data=None, most_body=1), Metrics(), end_streams=lambda: None)
        waiting = [ask(gate, b"x") for _ in range(10)]
        await settled()
        assert sorted(one.result() for one in waiting if one.done()) == [429] * 6
        done.set()
        assert sorted(await asyncio.gather(*waiting)) == [200] * 4 + [429] * 6
        assert gate._held.now == 0

    asyncio.run(story())


def test_an_app_that_fails_leaves_no_place_taken():
    async def failing(scope, receive, send):
        raise ZeroDivisionError

    gate = Gate(failing, ServiceSettings(data=None), Metrics(), end_streams=lambda: None)
    with pytest.raises(ZeroDivisionError):
        asked([piece(b"x")], headers={**LOCAL, "content-length": "1"}, gate=gate)
    assert (gate._looking, gate._held.now) == (0, 0)


def test_clients_of_paddlex_that_name_no_type_or_that_of_forms_send_json():
    for kind in (
        {},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json"},
    ):
        seen = []

        async def look(scope, receive, send, seen=seen):
            seen.append(dict(scope["headers"])[b"content-type"])
            await send({"type": "http.response.start", "status": 200, "headers": []})

        asked([piece(b"{}")], headers={**LOCAL, "content-length": "2", **kind}, inner=look)
        assert seen == [b"application/json"]


# What is logged and counted


def test_a_path_cannot_forge_lines_of_the_log(service, caplog):
    caplog.set_level(logging.INFO, "sodslice.access")
    service.get('/a%0a{"status": 200}%0d%1b[31m%e2%80%a8', headers=RIGHT)
    assert caplog.messages[-1].isascii()
    assert "\n" not in caplog.messages[-1]
    assert "\x1b" not in caplog.messages[-1]
    assert json.loads(caplog.messages[-1])["path"] == '/a\n{"status": 200}\r\x1b[31m\u2028'


def test_the_log_has_no_query_and_no_more_of_a_path_than_is_of_use(service, caplog):
    caplog.set_level(logging.INFO, "sodslice.access")
    service.get("/jobs/" + "a" * 5000, params={"key": "secret"}, headers=RIGHT)
    line = json.loads(caplog.messages[-1])
    assert set(line) == {"time", "client", "method", "path", "status", "bytes", "ms"}
    assert len(line["path"]) == gates.MOST_LETTERS
    assert "secret" not in caplog.messages[-1]


def test_strangers_cannot_make_the_counters_grow(service):
    def rows() -> list[str]:
        return service.get("/metrics", headers=RIGHT).text.splitlines()

    def attack(number: int) -> None:
        for head in (RIGHT, {}):
            service.get(f"/nowhere/{number}", headers=head)
            service.get(f"/jobs/{number}/result.json", headers=head)
            service.request(f"M{number}", "/jobs", headers=head)
            service.request(f"M{number}", f"/{number}", headers=head)
            service.post(f"/{number}", headers={**head, "Content-Length": str(9 << 40)})
            service.post(f"/jobs/{number}", headers={**head, "Content-Length": str(9 << 40)})
            service.get(f"/{number}", headers={**head, "Host": f"a{number}"})

    rows()  # counted from now on, too
    attack(0)
    before = rows()
    counted = sample("\n".join(before), "sodslice_requests_total")
    for number in range(1, 30):
        attack(number)
    after = rows()
    assert len(after) == len(before)
    assert sample("\n".join(after), "sodslice_requests_total") >= counted + 29 * 14
    assert not [row for row in after if "M1" in row or "/29" in row]
    routes = {found for row in after for found in re.findall(r'requests_total.*route="([^"]*)"', row)}
    assert {"/jobs", "/jobs/{job_id}/{name}", "/metrics", "other"} <= routes
