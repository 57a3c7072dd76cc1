"""What the gateway does, as the configuration of an Envoy: one entrance, and all its rules."""

import ssl
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from banyan.engines.endpoints import Endpoints, Json, socket_address
from banyan.engines.replies import replies
from banyan.engines.routing import HIDDEN, LIVE, READY, Way, legacy_pool, routes
from banyan.kernel.edge import MOST_BYTES
from banyan.kernel.entrance import Gateway, Limits, Tls
from banyan.kernel.telemetry import TelemetrySettings

MOST_CLIENTS = 10_000
"""Of so many clients the bucket is remembered; whoever was not seen for longest gets a new one."""

_COLLECTOR = "collector"
_MOST_CONNECTIONS = 10_000
_ROOTS = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
_V3 = "type.googleapis.com/envoy.extensions"
_HTTP = "envoy.filters.http"


def render(
    gateway: Gateway,
    ways: Sequence[Way],
    endpoints: Endpoints,
    *,
    host: str = "127.0.0.1",
    port: int,
    admin: Path | None = None,
    telemetry: TelemetrySettings | None = None,
) -> Json:
    """Configure an Envoy that listens at an address and leads every way to its pool.

    `admin` is the socket at which it tells about itself, `telemetry` where its spans are sent.
    """
    told = telemetry or TelemetrySettings()
    pools = list(dict.fromkeys(way.pool for way in ways if not way.legacy))
    listener = {
        "name": "entrance",
        "address": socket_address(host, port),
        # A second gateway at this port must be refused, not given half of the connections.
        "enable_reuse_port": False,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "http",
                        "typed_config": {
                            **_connections(gateway),
                            **({"tracing": _tracing(told)} if told.otlp_endpoint else {}),
                            "access_log": [_access_log()],
                            "local_reply_config": replies(gateway.limits, pools),
                            "route_config": _route_config(gateway, ways),
                            "http_filters": [*_filters(gateway.limits, pools)],
                        },
                    }
                ],
                **({"transport_socket": _tls(gateway.tls)} if gateway.tls else {}),
            }
        ],
    }
    clusters = [
        *endpoints.clusters(),
        *(_outside(legacy_pool(one), one.upstream) for one in gateway.legacy),
    ]
    if told.otlp_endpoint:
        clusters.append(_outside(_COLLECTOR, told.otlp_endpoint))
    return {
        "node": {"id": "gateway", "cluster": "banyan"},
        "static_resources": {"listeners": [listener], "clusters": clusters},
        "overload_manager": _overload(),
        **({"admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}}} if admin else {}),
    }


def _connections(gateway: Gateway) -> Json:
    """How connections are kept, and which requests are not even looked at."""
    return {
        "@type": f"{_V3}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "entrance",
        "use_remote_address": True,
        "xff_num_trusted_hops": gateway.trusted_hops,
        # Nobody may steer us by x-envoy headers for where he comes from: only the address that is
        # kept for documentation, which nobody has, is internal.
        "internal_address_config": {
            "cidr_ranges": [{"address_prefix": "203.0.113.0", "prefix_len": 32}]
        },
        "always_set_request_id_in_response": True,
        "server_header_transformation": "PASS_THROUGH",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": 32,
        "request_headers_timeout": "10s",
        "request_timeout": "30s",
        "stream_idle_timeout": "60s",
        "common_http_protocol_options": {
            "idle_timeout": "60s",
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65_536,
            "initial_connection_window_size": 1_048_576,
        },
    }


def _route_config(gateway: Gateway, ways: Sequence[Way]) -> Json:
    host: Json = {
        "name": "shop",
        "domains": ["*"],
        "routes": [*_own_routes(gateway.limits), *routes(ways, seconds=gateway.timeout_seconds)],
    }
    return {"name": "ways", "virtual_hosts": [host]}


def _own_routes(limits: Limits | None) -> Iterator[Json]:
    """Answer for the gateway itself: metrics stay inside, and who looks after us is not limited."""
    hidden = {"direct_response": {"status": HTTPStatus.NOT_FOUND}}
    yield {"name": HIDDEN, "match": {"path_separated_prefix": HIDDEN}, **hidden}
    unlimited = {
        name: {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
        for name in ((f"{_HTTP}.local_ratelimit",) if limits else ())
    }
    for path in (LIVE, READY):
        yield {
            "name": path,
            "match": {"path": path},
            "direct_response": {"status": HTTPStatus.OK},
            "typed_per_filter_config": unlimited,
        }


def _filters(limits: Limits | None, pools: Sequence[str]) -> Iterator[Json]:
    """What a request passes on its way in; an answer passes it in the other direction."""
    if limits:
        yield _filter("lua", "Lua", default_source_code={"inline_string": _limits_told(limits)})
        yield _filter("local_ratelimit", "LocalRateLimit", **_limited(limits))
    yield _filter(
        "health_check",
        "HealthCheck",
        pass_through_mode=False,
        headers=[{"name": ":path", "string_match": {"exact": READY}}],
        cluster_min_healthy_percentages={name: {"value": 1} for name in pools},
    )
    # A body is taken in whole before anybody is kept waiting for it, and so it can be sent again.
    yield _filter("buffer", "Buffer", max_request_bytes=MOST_BYTES)
    yield _filter("router", "Router", suppress_envoy_headers=True)


def _filter(name: str, kind: str, **settings: object) -> Json:
    config = {"@type": f"{_V3}.filters.http.{name}.v3.{kind}", **settings}
    return {"name": f"{_HTTP}.{name}", "typed_config": config}


def _limited(limits: Limits) -> Json:
    """Give every client a bucket of its own (a descriptor whose value is left open).

    Who has an address of IPv6, has all of its network of 64 bits.
    """
    bucket = {
        "max_tokens": limits.burst,
        "tokens_per_fill": limits.requests_per_minute,
        "fill_interval": "60s",
    }
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "stat_prefix": "limits",
        "token_bucket": bucket,
        "rate_limits": [{"actions": [{"masked_remote_address": {"v6_prefix_mask_len": 64}}]}],
        "descriptors": [{"entries": [{"key": "masked_remote_address"}], "token_bucket": bucket}],
        "always_consume_default_token_bucket": False,
        "max_dynamic_descriptors": MOST_CLIENTS,
        "filter_enabled": always,
        "filter_enforced": always,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
    }


def _limits_told(limits: Limits) -> str:
    """Tell a client how it stands, in the fields of draft-ietf-httpapi-ratelimit-headers."""
    return f"""
        function envoy_on_response(answer)
            local headers = answer:headers()
            local left = headers:get("x-ratelimit-remaining")
            if left then
                headers:replace("ratelimit-policy", '{limits.policy}')
                headers:replace("ratelimit", '"client";r=' .. left)
                headers:remove("x-ratelimit-limit")
                headers:remove("x-ratelimit-remaining")
                headers:remove("x-ratelimit-reset")
            end
        end
    """


def _access_log() -> Json:
    """One line of JSON for each request. Paths hold what only their owner may know: carts, orders.

    So a line names the route instead, and the request, by which the processes' logs are found.
    """
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": f"{_V3}.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {
                "json_format": {
                    "time": "%START_TIME%",
                    "method": "%REQ(:METHOD)%",
                    "route": "%ROUTE_NAME%",
                    "status": "%RESPONSE_CODE%",
                    "flags": "%RESPONSE_FLAGS%",
                    "details": "%RESPONSE_CODE_DETAILS%",
                    "duration_ms": "%DURATION%",
                    "bytes_received": "%BYTES_RECEIVED%",
                    "bytes_sent": "%BYTES_SENT%",
                    "pool": "%UPSTREAM_CLUSTER%",
                    "replica": "%UPSTREAM_HOST%",
                    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
                    "request_id": "%REQ(X-REQUEST-ID)%",
                    "trace_id": "%RESP(TRACE-ID)%",
                    "traceparent": "%REQ(TRACEPARENT)%",
                }
            },
        },
    }


def _tracing(told: TelemetrySettings) -> Json:
    """Begin traces here where they are collected; elsewhere a trace begins in the first process."""
    traces = f"{told.otlp_endpoint.rstrip('/')}/v1/traces"
    config = {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "service_name": "gateway",
        "http_service": {"http_uri": {"uri": traces, "cluster": _COLLECTOR, "timeout": "1s"}},
    }
    return {
        "random_sampling": {"value": told.sampled * 100},
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": config},
    }


def _tls(tls: Tls) -> Json:
    certificate = {
        "certificate_chain": {"filename": tls.certificate},
        "private_key": {"filename": tls.key},
    }
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_V3}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificates": [certificate],
            },
        },
    }


def _outside(name: str, url: str) -> Json:
    """A server that is none of our processes, found by its name."""
    place = urlsplit(url)
    secure = place.scheme == "https"
    host = place.hostname or ""
    endpoint = {
        "endpoint": {"address": socket_address(host, place.port or (443 if secure else 80))}
    }
    cluster: Json = {
        "name": name,
        # Of the addresses that a name has, of both families, the one that answers first is taken.
        "type": "LOGICAL_DNS",
        "dns_lookup_family": "ALL",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if secure:
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{_V3}.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": host,
                "common_tls_context": {
                    "validation_context": {
                        "trusted_ca": {"filename": _ROOTS},
                        "match_typed_subject_alt_names": [
                            {"san_type": "DNS", "matcher": {"exact": host}}
                        ],
                    }
                },
            },
        }
    return cluster


def _overload() -> Json:
    monitor = "envoy.resource_monitors.global_downstream_max_connections"
    return {
        "resource_monitors": [
            {
                "name": monitor,
                "typed_config": {
                    "@type": f"{_V3}.resource_monitors.downstream_connections.v3"
                    ".DownstreamConnectionsConfig",
                    "max_active_downstream_connections": _MOST_CONNECTIONS,
                },
            }
        ]
    }
