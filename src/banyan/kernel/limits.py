"""How often one client may ask, where no gateway sees to it.

Each client has a bucket of requests, which fills steadily. It is one number: the moment at which it
will be full again (the generic cell rate algorithm). Which bucket is whose, a hash says. So nothing
has to be evicted, no address is kept, and workers that share a port share the buckets, too, as a
file that each of them maps.
"""

from __future__ import annotations

import math
import mmap
import os
import secrets
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from banyan.kernel.clock import Clock
from banyan.kernel.entrance import Limits
from banyan.kernel.refusal import Headers
from banyan.kernel.security import kept_secret
from banyan.kernel.topology import Topology

UNLIMITED = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Who looks after us is not limited."""

BUCKETS = 2**20
"""Eight bytes each: among a thousand clients, one in a thousand shares a bucket with another."""

_BYTES = 8 * BUCKETS
_SECOND = 1_000_000_000
_MAPPED = bytes(10) + b"\xff\xff"


class Limiter:
    """Grants requests to each client from a bucket of `burst`, which fills steadily.

    `trusted_hops` counts the proxies before us that are believed whom they have seen. Workers that
    are given the same folder count together; without one, this process counts for itself.
    """

    def __init__(
        self, limits: Limits, *, clock: Clock, trusted_hops: int = 0, folder: Path | None = None
    ) -> None:
        self._clock = clock
        self._hops = trusted_hops
        self._interval = 60 * _SECOND // limits.requests_per_minute
        self._depth = limits.burst * self._interval
        self._policy = limits.policy.encode()
        self._buckets = memoryview(_memory(folder)).cast("q")
        secret = kept_secret(folder, "secret").reveal() if folder else secrets.token_hex()
        self._key = blake2b(secret.encode()).digest()

    def grant(self, scope: Mapping[str, Any]) -> tuple[bool, Headers]:
        """Take a request out of a client's bucket, if one is in it, and tell how the client stands.

        The fields are those of draft-ietf-httpapi-ratelimit-headers.
        """
        bucket = self._bucket(self._address(scope))
        now = int(self._clock.monotonic() * _SECOND)
        full_at = self._buckets[bucket]
        if not now < full_at <= now + self._depth:
            # It is full again, or was left there before the machine began to count anew.
            full_at = now
        full_at += self._interval
        spare = now + self._depth - full_at
        granted = spare >= 0
        if granted:
            # Of two workers at the same instant, one may be forgotten: cheaper than a lock.
            self._buckets[bucket] = full_at
        told = [
            (b"ratelimit-policy", self._policy),
            (b"ratelimit", b'"client";r=%d' % max(0, spare // self._interval)),
        ]
        if not granted:
            told.append((b"retry-after", b"%d" % math.ceil(-spare / _SECOND)))
        return granted, told

    def _address(self, scope: Mapping[str, Any]) -> str:
        """Tell who asks: the peer, or whom the farthest of the proxies that we trust has seen."""
        if self._hops:
            seen = b",".join(told for name, told in scope["headers"] if name == b"x-forwarded-for")
            addresses = [one for one in seen.decode("latin-1").split(",") if one.strip()]
            if len(addresses) >= self._hops:
                return addresses[-self._hops].strip()
        peer = scope.get("client")
        return peer[0] if peer else ""

    def _bucket(self, address: str) -> int:
        """Choose a bucket in a way that nobody can foresee, so that nobody empties another's."""
        digest = blake2b(_network(address), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest) % BUCKETS


def limiter(topology: Topology, clock: Clock, folder: Path | None) -> Limiter | None:
    """Make what limits clients as a topology says, unless its gateway sees to it."""
    limits, hops = topology.gateway.limits, topology.gateway.trusted_hops
    if limits is None or topology.engines.gateway:
        return None
    return Limiter(limits, clock=clock, trusted_hops=hops, folder=folder)


def _network(address: str) -> bytes:
    """Tell whose an address is: who has one of IPv6, has all of its network of 64 bits."""
    try:
        if ":" not in address:
            return inet_pton(AF_INET, address)
        told = inet_pton(AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return b""
    return told[12:] if told.startswith(_MAPPED) else told[:8]


def _memory(folder: Path | None) -> mmap.mmap:
    """Map what the workers of a folder share; holes in it take no room."""
    if folder is None:
        return mmap.mmap(-1, _BYTES)
    file = os.open(folder / "limits", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(file, _BYTES)
        return mmap.mmap(file, _BYTES)
    finally:
        os.close(file)
