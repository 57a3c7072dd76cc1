"""Copies of data, as processes in a cluster are told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from banyan.kernel.topology import read
from tests.engines.cluster import filled, objects, rendered, text_of, variables


@pytest.mark.parametrize(
    ("replica", "ports"),
    [
        ('replica = "embedded"', [5432]),
        ("replica = { catalog = 'postgresql://copy:6432/shop' }", [5432, 6432]),
    ],
)
def test_a_process_is_told_of_the_copies_that_its_modules_read(
    tmp_path: Path, replica: str, ports: list[int]
) -> None:
    text = text_of("microservices").replace("[engines]", f"[engines]\n{replica}")

    manifests = rendered(tmp_path, text)

    told = variables(objects(manifests, "Deployment")["catalog"])
    (job,) = objects(manifests, "Job").values()
    copy = {"secretKeyRef": {"name": "postgres-replica", "key": "catalog"}}
    assert told["COPY_CATALOG"]["valueFrom"] == copy
    assert '"catalog":"$(COPY_CATALOG)"' in told["BANYAN_ENGINES_REPLICA"]["value"]
    assert "payments" not in told["BANYAN_ENGINES_REPLICA"]["value"]
    assert variables(job)["BANYAN_ENGINES_REPLICA"]["value"] == "{}"
    rules = objects(manifests, "NetworkPolicy")["catalog"]["spec"]["egress"]
    assert [one["port"] for one in rules[1]["ports"]] == ports


def test_what_a_container_is_told_of_copies_fits_the_file_that_it_reads(tmp_path: Path) -> None:
    text = text_of("microservices").replace("[engines]", "[engines]\nreplica = 'embedded'")
    manifests = rendered(tmp_path, text)
    (job,) = objects(manifests, "Job").values()
    file = tmp_path / "topology.toml"

    catalog, migration = (
        read(file, environment=filled(variables(one))).engines
        for one in (objects(manifests, "Deployment")["catalog"], job)
    )

    assert catalog.replica_of("catalog") == "postgresql://COPY_CATALOG@far"
    assert catalog.replica_of("payments") is None
    assert migration.replica_of("catalog") is None
