"""The gateway: a real Envoy before small servers, which come, go, hang and die."""

import asyncio
import json
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from banyan.engines.authority import Authority
from banyan.engines.endpoints import Endpoint
from banyan.engines.envoy import EmbeddedEnvoy
from banyan.engines.processes import Supervisor
from banyan.kernel.topology import read
from tests.engines.replicas import Replica, serving
from tests.engines.toyshop import HOUSE

TOY = "/api/store/toys/train"
LINES = "/api/store/boxes/b/lines"
APART = """
[engines]
nats = "embedded"
gateway = "embedded"
[process.shelf]
modules = ["toys"]
[process.desk]
modules = ["*"]
channels = ["*"]
"""
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
Found = Mapping[str, Collection[Endpoint]]


@dataclass
class Open:
    """A gateway that is open: how to ask it, how to tell it who is there, and what it logged."""

    client: httpx.AsyncClient
    write: Callable[[Found], None]
    log: list[str]

    async def names(self, path: str = TOY, times: int = 20) -> Counter[str]:
        """Ask so many times, ten at once, and count who answered."""
        answers: list[httpx.Response] = []
        while len(answers) < times:
            answers += await asyncio.gather(*(self.client.get(path) for _ in range(10)))
        assert {answer.status_code for answer in answers} == {200}
        return Counter(answer.json()["name"] for answer in answers)

    async def eventually(self, names: set[str], *, path: str = TOY, seconds: float = 10) -> None:
        """Ask until exactly these answer."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while set(await self.names(path)) != names:
            assert loop.time() < deadline, f"{names} did not take over"
            await asyncio.sleep(0.05)


def envoy(folder: Path, more: str = "", *, port: int | None = None) -> EmbeddedEnvoy:
    file = folder / "topology.toml"
    file.write_text(APART + more)
    return EmbeddedEnvoy(folder / "gateway", HOUSE, read(file), port=port or free_port())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


@asynccontextmanager
async def gateway(
    folder: Path, found: Found, more: str = "", trusting: ssl.SSLContext | None = None
) -> AsyncIterator[Open]:
    """Open a gateway before some replicas."""
    log: list[str] = []
    embedded = envoy(folder, more)
    embedded.write_endpoints(found)
    keeper = Supervisor([embedded.child()], say=log.append)
    client = httpx.AsyncClient(
        base_url=embedded.url, verify=trusting or ssl.create_default_context(), timeout=20
    )
    async with keeper, client:
        yield Open(client, embedded.write_endpoints, log)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Read a problem document, and tell its status and code."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"] == f"/problems/{document['code']}"
    assert document["title"]
    assert document["trace_id"].removesuffix(" -") == answer.headers["trace-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.status_code, document["code"]


def accesses(log: list[str]) -> list[str]:
    return [line.partition(" | ")[2] for line in log if " | {" in line]


async def until(truth: Callable[[], bool], *, seconds: float = 10) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not truth():
        assert loop.time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


def at(*replicas: Replica, version: str = "") -> list[Endpoint]:
    return [replica.endpoint(version) for replica in replicas]


async def test_each_path_is_answered_by_the_process_that_hosts_it(tmp_path: Path) -> None:
    with serving("shelf", "desk") as (shelf, desk):
        async with gateway(tmp_path, {"shelf": at(shelf), "desk": at(desk)}) as shop:
            paths = (TOY, "/api/store/boxes/b", "/media/train.png", "/docs", "/nowhere")
            answers = [(await shop.client.get(path)).json()["name"] for path in paths]

    assert answers == ["shelf", "desk", "desk", "desk", "desk"]


async def test_the_gateway_answers_for_its_own_health_and_hides_metrics(tmp_path: Path) -> None:
    with serving("shelf", "desk") as (shelf, desk):
        async with gateway(tmp_path, {"shelf": at(shelf)}) as shop:
            live = await shop.client.get("/health/live")
            lacking = await shop.client.get("/health/ready")
            metrics = await shop.client.get("/metrics")
            shop.write({"shelf": at(shelf), "desk": at(desk)})
            async with asyncio.timeout(10):
                while (ready := await shop.client.get("/health/ready")).status_code != 200:
                    assert problem(ready) == (503, "unavailable")

    assert (live.status_code, live.json()) == (200, {"ready": []})
    assert problem(lacking) == (503, "unavailable")
    assert problem(metrics) == (404, "not_found")
    assert (ready.status_code, sorted(ready.json()["ready"])) == (200, ["desk", "shelf"])


async def test_replicas_come_and_go_without_a_restart_or_a_failed_request(tmp_path: Path) -> None:
    failed: list[object] = []
    with serving("one", "two", "three") as (one, two, three):
        async with gateway(tmp_path, {"shelf": at(one), "desk": at(three)}) as shop:
            stop = asyncio.Event()

            async def keep_asking() -> None:
                while not stop.is_set():
                    answers = [await shop.client.get(TOY), await shop.client.post(TOY)]
                    failed.extend(one.text for one in answers if one.status_code != 200)
                    await asyncio.sleep(0.01)

            asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
            shop.write({"shelf": at(one, two), "desk": at(three)})
            await shop.eventually({"one", "two"})
            shop.write({"shelf": at(two), "desk": at(three)})
            await shop.eventually({"two"})
            shop.write({"shelf": at(three), "desk": at(three)})
            await shop.eventually({"three"})
            stop.set()
            await asyncio.gather(*asking)

    assert failed == []


async def test_what_a_dying_replica_has_heard_is_asked_again_only_if_it_may_be(
    tmp_path: Path,
) -> None:
    with serving("dying", "well") as (dying, well):
        dying.mood = "deaf"
        async with gateway(tmp_path, {"shelf": at(dying, well), "desk": at(dying)}) as shop:
            names = await shop.names(times=10)
            dying.heard.clear()
            plain = await shop.client.post(LINES, content=b"x")
            once = len(dying.heard)
            keyed = await shop.client.post(LINES, headers={"idempotency-key": "k"}, content=b"x")

    assert set(names) == {"well"}
    assert (problem(plain), once) == ((503, "unavailable"), 1)
    assert problem(keyed) == (503, "unavailable")
    assert len(dying.heard) == 1 + 3
    assert [heard.size for heard in dying.heard] == [1] * 4


async def test_nothing_is_lost_on_a_replica_that_is_not_there(tmp_path: Path) -> None:
    gone = Endpoint(port=free_port())
    with serving("well") as (well,):
        async with gateway(tmp_path, {"shelf": [gone, *at(well)]}) as shop:
            answers = [await shop.client.post(TOY) for _ in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    assert len(well.heard) == 20


async def test_a_hung_replica_leaves_before_anybody_waits_for_it(tmp_path: Path) -> None:
    telling = httpx.AsyncHTTPTransport(uds=str(tmp_path / "gateway" / "admin.sock"))
    with serving("hung", "well") as (hung, well):
        async with (
            gateway(tmp_path, {"shelf": at(hung, well)}) as shop,
            httpx.AsyncClient(transport=telling, base_url="http://admin") as admin,
        ):
            await shop.eventually({"hung", "well"})
            hung.mood = "hung"
            async with asyncio.timeout(15):
                told = ""
                while "/failed_active_hc" not in told:
                    await asyncio.sleep(0.05)
                    told = (await admin.get("/clusters")).text
            asked = len(hung.heard)
            names = await shop.names()
            left = len(hung.heard)
            hung.mood = "well"
            hung.released.set()
            await shop.eventually({"hung", "well"})

    assert set(names) == {"well"}
    assert left == asked


async def test_what_nobody_answers_in_time_is_a_problem(tmp_path: Path) -> None:
    with serving("hung") as (hung,):
        async with gateway(tmp_path, {"shelf": at(hung)}, "[gateway]\ntimeout_seconds = 1") as shop:
            hung.mood = "hung"
            late = await shop.client.post(TOY)
            nobody = await shop.client.get("/docs")

    assert problem(late) == (504, "unavailable")
    assert problem(nobody) == (503, "unavailable")
    assert nobody.headers["retry-after"] == "1"
    assert late.json()["instance"] == TOY
    assert late.json()["request_id"] == late.headers["x-request-id"]


async def test_what_cannot_be_meant_well_is_refused_at_the_door(tmp_path: Path) -> None:
    most = 1024 * 1024
    with serving("shelf") as (shelf,):
        async with gateway(tmp_path, {"shelf": at(shelf)}) as shop:
            full = await shop.client.post(TOY, content=bytes(most))
            over = await shop.client.post(TOY, content=bytes(most + 1))
            slash = await shop.client.get(httpx.URL("/api/store/toys/a%2Fb"))
            nul = await shop.client.get(httpx.URL("/api/store/toys/a%00b"))
            wordy = await shop.client.get(TOY, headers={"x-words": "x" * 40_000})
            twice = await shop.client.get("/api//store/x/../toys/train")

    assert (full.status_code, shelf.heard[0].size) == (200, most)
    assert problem(over) == (413, "body_too_large")
    assert over.json()["limit_bytes"] == most
    assert problem(slash) == problem(nul) == (400, "bad_request")
    assert [one["parameter"] for one in nul.json()["errors"]] == ["path"]
    assert problem(wordy) == (431, "headers_too_large")
    assert (twice.status_code, shelf.heard[-1].path) == (200, TOY)
    assert len(shelf.heard) == 2


async def test_a_request_is_known_by_its_id_and_its_trace(tmp_path: Path) -> None:
    told = {
        "x-request-id": "mine",
        "traceparent": TRACE,
        "x-forwarded-for": "192.0.2.9",
        "x-envoy-max-retries": "9",
    }
    with serving("shelf") as (shelf,):
        async with gateway(tmp_path, {"shelf": at(shelf)}) as shop:
            answer = await shop.client.get(f"{TOY}?who=ada", headers=told)
            await shop.client.get(TOY)
            await until(lambda: len(accesses(shop.log)) == 2)

    heard = shelf.heard[0].headers
    line = accesses(shop.log)[0]
    first = json.loads(line)
    assert heard["traceparent"] == TRACE
    assert heard["x-request-id"] == answer.headers["x-request-id"] == first["request_id"] != "mine"
    assert heard["x-forwarded-for"].startswith("192.0.2.9")
    assert "x-envoy-max-retries" not in heard
    assert not {"via", "server"} & set(answer.headers)
    assert not [name for name in answer.headers if name.startswith("x-envoy")]
    assert (first["method"], first["status"], first["pool"]) == ("GET", 200, "shelf")
    assert (first["route"], first["traceparent"]) == ("/api/store/toys/{toy:str}", TRACE)
    assert "train" not in line
    assert "ada" not in line


async def test_each_client_has_a_limit_and_is_told_how_it_stands(tmp_path: Path) -> None:
    limits = """
    [gateway]
    trusted_hops = 1
    [gateway.limits]
    requests_per_minute = 1
    burst = 3
    """
    addresses = ("192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:2:f::2", "2001:db8:1:3::")
    ada, bob, eve, alias, neighbor = ({"x-forwarded-for": one} for one in addresses)
    with serving("shelf") as (shelf,):
        async with gateway(tmp_path, {"shelf": at(shelf)}, limits) as shop:
            granted = [await shop.client.get(TOY, headers=ada) for _ in range(3)]
            refused = await shop.client.get(TOY, headers=ada)
            other = await shop.client.get(TOY, headers=bob)
            health = await shop.client.get("/health/live", headers=ada)
            networks = [await shop.client.get(TOY, headers=one) for one in (eve, alias, neighbor)]

    assert [one.headers["ratelimit"] for one in granted] == [
        f'"client";r={left}' for left in (2, 1, 0)
    ]
    assert problem(refused) == (429, "too_many_requests")
    assert refused.headers["retry-after"] == "60"
    assert refused.headers["ratelimit"] == '"client";r=0'
    assert refused.headers["ratelimit-policy"] == '"client";q=3;w=180'
    assert (other.status_code, other.headers["ratelimit"]) == (200, '"client";r=2')
    assert (health.status_code, "ratelimit" in health.headers) == (200, False)
    assert [one.headers["ratelimit"][-1] for one in networks] == ["2", "1", "2"]
    assert [name for name in other.headers if name.startswith("x-")] == ["x-request-id"]
    assert len(shelf.heard) == 7


async def test_an_older_system_answers_below_its_prefix(tmp_path: Path) -> None:
    large = bytes(2 * 1024 * 1024)
    with serving("old", "desk") as (old, desk):
        legacy = f'[[gateway.legacy]]\nprefix = "/shop"\nupstream = "http://localhost:{old.port}"'
        async with gateway(tmp_path, {"desk": at(desk)}, legacy) as shop:
            answer = await shop.client.get("/shop/hats?page=2")
            beside = await shop.client.get("/shopping")
            upload = await shop.client.post("/shop/upload", content=large)

    assert (answer.json()["name"], old.heard[0].path) == ("old", "/shop/hats?page=2")
    assert old.heard[0].headers["host"].startswith("localhost")
    assert (upload.status_code, old.heard[1].size) == (200, len(large))
    assert beside.json()["name"] == "desk"


async def test_a_canary_answers_its_share_and_others_answer_for_it(tmp_path: Path) -> None:
    canary = '[gateway.canary]\ntoys = {version = "2.0", weight = 25}'
    with serving("old", "new", "desk") as (old, new, desk):
        both = [*at(old, version="1.0"), *at(new, version="2.0")]
        async with gateway(tmp_path, {"shelf": both, "desk": at(desk)}, canary) as shop:
            shares = await shop.names(times=400)
            shop.write({"shelf": at(old, version="1.0")})
            await shop.eventually({"old"})
            shop.write({"shelf": at(new, version="2.0")})
            await shop.eventually({"new"})

    # Six standard deviations to either side: once in five hundred million runs it is outside.
    assert shares["old"] + shares["new"] == 400
    assert 48 <= shares["new"] <= 152


async def test_a_mirror_is_shown_what_is_read_and_never_answers(tmp_path: Path) -> None:
    mirror = '[gateway.mirror]\ntoys = {version = "2.0", percent = 100}'
    with serving("old", "new") as (old, new):
        both = [*at(old, version="1.0"), *at(new, version="2.0")]
        async with gateway(tmp_path, {"shelf": both}, mirror) as shop:
            names = await shop.names(times=10)
            await shop.client.post(TOY)
            await until(lambda: len(new.heard) == 10)

    assert set(names) == {"old"}
    assert [heard.method for heard in old.heard].count("POST") == 1
    assert {heard.method for heard in new.heard} == {"GET"}


async def test_the_entrance_can_prove_who_it_is(tmp_path: Path) -> None:
    shown = Authority(tmp_path / "authority").certificate("shop", serves=("127.0.0.1",))
    tls = f'[gateway.tls]\ncertificate = "{shown.certificate}"\nkey = "{shown.key}"'
    trusting = ssl.create_default_context(cafile=str(shown.ca))
    with serving("shelf") as (shelf,):
        async with gateway(tmp_path, {"shelf": at(shelf)}, tls, trusting) as shop:
            answer = await shop.client.get(TOY)

    assert answer.url.scheme == "https"
    assert answer.json() == {"name": "shelf"}
    assert shelf.heard[0].headers["x-forwarded-proto"] == "https"
