"""A topology says where code runs, and is refused with what to change when it cannot work."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.settings import Misconfigured
from banyan.kernel.topology import Engines, Process, Topology, check, monolith, read

MODULES = {"catalog", "ordering", "payments", "search"}
CHANNELS = {"storefront", "backoffice"}
NEEDS = {"ordering": {"payments", "catalog"}, "search": {"catalog"}}

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a topology file."""

    def written(text: str) -> Path:
        file = tmp_path / "topology.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return written


def complaints(topology: Topology, needs: Mapping[str, set[str]] = NEEDS) -> str:
    with pytest.raises(Misconfigured) as refused:
        check(topology, modules=MODULES, channels=CHANNELS, needs=needs)
    return str(refused.value)


def apart(write: Write, processes: str, engines: str = 'nats = "embedded"') -> Topology:
    return read(write(f"[engines]\n{engines}\n{processes}"))


def test_without_a_file_everything_is_in_one_process() -> None:
    topology = read(None)

    check(topology, modules=MODULES, channels=CHANNELS, needs=NEEDS)
    (process,) = topology.processes
    assert topology == monolith()
    assert topology.modules_of(process, MODULES) == MODULES
    assert topology.channels_of(process, CHANNELS) == CHANNELS
    assert topology.engines.database("catalog") == "embedded"
    assert (topology.engines.nats, topology.engines.gateway) == (None, None)


def test_the_file_of_the_monolith_says_what_no_file_says() -> None:
    shipped = Path(__file__).parents[2] / "topology" / "monolith.toml"

    assert read(shipped) == monolith()


def test_an_empty_file_is_the_monolith(write: Write) -> None:
    assert read(write("")) == monolith()


def test_a_process_hosts_what_it_names_and_the_star_what_nobody_names(write: Write) -> None:
    topology = apart(
        write,
        """
        [process.shelf]
        modules = ["catalog", "search"]
        replicas = 2
        [process.rest]
        modules = ["payments", "*"]
        channels = ["*"]
        """,
    )

    check(topology, modules=MODULES, channels=CHANNELS, needs=NEEDS)
    shelf, rest = topology.process("shelf"), topology.process("rest")
    assert shelf.replicas == 2
    assert topology.modules_of(shelf, MODULES) == {"catalog", "search"}
    assert topology.channels_of(shelf, CHANNELS) == set()
    assert topology.modules_of(rest, MODULES) == {"ordering", "payments"}
    assert topology.channels_of(rest, CHANNELS) == CHANNELS


homes = st.dictionaries(
    st.sampled_from(sorted(MODULES)), st.sampled_from(["one", "two", "rest"]), max_size=4
)


@given(homes)
def test_every_module_has_exactly_one_home(chosen: dict[str, str]) -> None:
    def hosting(name: str) -> tuple[str, ...]:
        named = tuple(module for module, home in chosen.items() if home == name)
        return (*named, "*") if name == "rest" else named

    topology = Topology(
        engines=Engines(nats="embedded"),
        processes=tuple(
            Process(name=name, modules=hosting(name), channels=("*",) if name == "rest" else ())
            for name in ("one", "two", "rest")
        ),
        settings={},
    )

    check(topology, modules=MODULES, channels=CHANNELS, needs=NEEDS)
    placed = [module for p in topology.processes for module in topology.modules_of(p, MODULES)]
    assert sorted(placed) == sorted(MODULES)


def test_a_module_may_have_a_database_of_its_own(write: Write) -> None:
    engines = read(
        write("[engines.postgres]\ndefault = 'embedded'\ncatalog = 'postgresql://far/catalog'")
    ).engines

    assert engines.database("catalog") == "postgresql://far/catalog"
    assert engines.database("ordering") == "embedded"
    assert engines.with_own_database() == {"catalog"}


def test_a_module_may_have_a_replica(write: Write) -> None:
    nobody = read(None).engines
    everybody = read(write("[engines]\nreplica = 'embedded'")).engines
    some = read(
        write(
            """
            [engines]
            postgres = { default = "embedded", payments = "postgres://far/payments" }
            replica = { default = "embedded", search = "postgres://near/search" }
            """
        )
    ).engines

    names = sorted(MODULES)
    assert [nobody.replica_of(name) for name in names] == [None] * 4
    assert [everybody.replica_of(name) for name in names] == ["embedded"] * 4
    assert {name: some.replica_of(name) for name in names} == {
        "catalog": "embedded",
        "ordering": "embedded",
        "payments": None,
        "search": "postgres://near/search",
    }
    assert (nobody.embeds_replica, everybody.embeds_replica) == (False, True)


def test_an_engine_s_address_may_come_from_the_environment(write: Write) -> None:
    spoken = {"BANYAN_ENGINES_POSTGRES": "postgres://u:p@far/shop"}

    topology = read(write("[engines]\npostgres = 'embedded'"), environment=spoken)

    assert topology.engines.database("catalog") == "postgres://u:p@far/shop"


def test_settings_are_handed_on_by_section(write: Write) -> None:
    topology = read(write("[settings.search]\nlimit = 5\n[settings.mail]\nhost = 'far'"))

    assert topology.settings == {"search": {"limit": 5}, "mail": {"host": "far"}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[proces.a]\nmodules = ['*']", "there is no table 'proces'; did you mean 'process'?"),
        ("[engines]\npostgress = 'x'", "'postgress'; did you mean 'postgres'?"),
        ("[engines]\npostgres = 'mysql://x'", 'default is neither "embedded" nor postgres://'),
        ("[engines.postgres]\ncatalog = 'embedded'", "[engines] postgres: names no server for"),
        ("[engines]\nreplica = 'mysql://x'", 'replica: that of default is neither "embedded" nor'),
        (
            "[engines]\nreplica = 'embedded'\npostgres = 'postgres://far/shop'",
            'replica: that of default cannot be "embedded", as its server is not; write "postgres',
        ),
        ("[engines]\nnats = 'far:4222'", "[engines] nats: is neither"),
        ("engines = 5", "[engines] must be a table"),
        ("process = 5", "[process] must hold tables"),
        ("[process]\na = 5", "[process.a] must be a table"),
        ("settings = 5", "[settings] must hold tables"),
        ("[process.a]\nmodule = ['*']", "[process.a] module: there is no setting 'module'; did"),
        ("[process.a]\nmodules = '*'", "[process.a] modules: Expected `array`, got `str`"),
        ("[process.a]\nmodules = ['*']\nreplicas = 0", "replicas: Expected `int` >= 1"),
        ("[process.a]", "[process.a] hosts nothing"),
        ("[process", "is not TOML: "),
    ],
)
def test_a_file_that_says_nothing_useful_is_refused_by_the_place(
    write: Write, text: str, complaint: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        read(write(text))

    assert complaint in str(refused.value)


@pytest.mark.parametrize("name", ["Shop", "the_shop", "shop.a", "-a", "a-", "a" * 64, "größe"])
def test_a_process_is_named_as_a_host_can_be(write: Write, name: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read(write(f"[process.'{name}']\nmodules = ['*']"))

    assert "is also the name of a host: use at most 63 of a-z, 0-9 and" in str(refused.value)


@pytest.mark.parametrize("name", ["ca", "gateway", "nats", "operator", "postgres"])
def test_a_process_is_not_named_as_an_engine_is(write: Write, name: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read(write(f"[process.'{name}']\nmodules = ['*']"))

    assert f"[process.{name}] has the name of an engine of ours" in str(refused.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(Misconfigured, match=r"no topology file at .*absent\.toml"):
        read(tmp_path / "absent.toml")
    with pytest.raises(Misconfigured, match="not a text in UTF-8"):
        read(tmp_path / "bytes.toml")
    with pytest.raises(Misconfigured, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_an_unknown_process_is_refused_with_what_was_meant() -> None:
    with pytest.raises(Misconfigured, match=r"no process 'monolit'; did you mean 'monolith'\?"):
        read(None).process("monolit")


def test_unknown_modules_and_channels_are_refused_with_what_was_meant(write: Write) -> None:
    told = complaints(
        apart(
            write,
            """postgres = { default = "embedded", serach = "embedded" }
            replica = { cataog = "embedded" }
            [process.a]
            modules = ["catalgo", "*"]
            channels = ["storefrnt", "*"]
            """,
        )
    )

    assert "[process.a] there is no module 'catalgo'; did you mean 'catalog'?" in told
    assert "[process.a] there is no channel 'storefrnt'; did you mean 'storefront'?" in told
    assert "[engines] postgres: there is no module 'serach'; did you mean 'search'?" in told
    assert "[engines] replica: there is no module 'cataog'; did you mean 'catalog'?" in told


def test_a_second_home_is_refused(write: Write) -> None:
    told = complaints(
        apart(
            write,
            """
            [process.a]
            modules = ["catalog", "*"]
            channels = ["storefront", "storefront", "backoffice"]
            [process.b]
            modules = ["catalog", "*"]
            """,
        )
    )

    assert "The module catalog is hosted twice, in [process.a] and [process.b]" in told
    assert '"*" of modules is hosted twice, in [process.a] and [process.b]' in told
    assert "The channel storefront is hosted twice, in [process.a] and [process.a]" in told


def test_a_module_without_a_home_is_refused(write: Write) -> None:
    told = complaints(
        apart(write, '[process.a]\nmodules = ["catalog", "ordering"]\nchannels = ["storefront"]')
    )

    assert "The module payments is hosted nowhere: name it in a process, or" in told
    assert "The module search is hosted nowhere" in told
    assert "The channel backoffice is hosted nowhere: name it in a process, or give one" in told
    assert "catalog is" not in told


@pytest.mark.parametrize(
    "processes",
    [
        "[process.a]\nmodules = ['catalog']\n[process.b]\nmodules = ['*']\nchannels = ['*']",
        "[process.a]\nmodules = ['*']\nchannels = ['*']\nreplicas = 2",
    ],
)
def test_what_is_apart_needs_a_broker(write: Write, processes: str) -> None:
    assert complaints(apart(write, processes, engines="")).startswith(
        "Several processes or replicas need an engine nats"
    )


def test_modules_that_ask_each_other_in_a_circle_are_refused_by_name() -> None:
    circular = {"catalog": {"search"}, "search": {"ordering"}, "ordering": {"catalog"}}

    told = complaints(read(None), needs=circular)

    assert told.startswith("Modules ask each other in a circle, ")
    circle = told.split(", ")[1].split(":")[0].split(" → ")
    assert circle[0] == circle[-1]
    assert all(other in circular[one] for one, other in pairwise(circle))


def test_everything_wrong_is_told_at_once(write: Write) -> None:
    topology = apart(write, "[process.a]\nmodules = ['catalgo']", engines="")

    assert len(complaints(topology, needs={"catalog": {"catalog"}}).splitlines()) >= 6
