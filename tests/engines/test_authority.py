"""The certificate authority of a shop: what it signs, keeps, renews and refuses."""

import stat
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from banyan.engines.authority import Authority
from banyan.engines.trouble import EngineError
from banyan.kernel.clock import FixedClock
from banyan.kernel.security import Credentials

DAY = 24 * 60 * 60.0


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def authority(tmp_path: Path, clock: FixedClock) -> Authority:
    return Authority(tmp_path / "authority", clock=clock)


def certificate(of: Credentials) -> x509.Certificate:
    return x509.load_pem_x509_certificate(of.certificate.read_bytes())


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_client_is_named_by_its_certificate_and_no_server(authority: Authority) -> None:
    catalog = certificate(authority.certificate("catalog"))

    names = catalog.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uses = catalog.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(names) == [x509.DNSName("catalog.banyan")]
    assert list(uses) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_server_is_known_by_the_hosts_it_serves_on_and_no_client(authority: Authority) -> None:
    nats = certificate(authority.certificate("nats", serves=("localhost", "127.0.0.1")))

    names = nats.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uses = nats.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(names) == [
        x509.DNSName("nats.banyan"),
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address("127.0.0.1")),
    ]
    assert list(uses) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]


def test_nobody_else_can_read_a_key(authority: Authority) -> None:
    authority.certificate("catalog")

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in authority.folder.iterdir()}
    assert set(modes) == {"ca.key", "ca.pem", "catalog.key", "catalog.pem", "lock"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700


def test_a_certificate_is_made_once(authority: Authority, clock: FixedClock) -> None:
    authority.certificate("catalog")
    made = contents(authority.folder)
    clock.advance(334 * DAY)

    authority.certificate("catalog")

    assert contents(authority.folder) == made


def test_a_certificate_is_renewed_a_month_before_its_end_with_the_same_key(
    authority: Authority, clock: FixedClock
) -> None:
    catalog = authority.certificate("catalog")
    old, key = certificate(catalog), catalog.key.read_bytes()
    clock.advance(336 * DAY)

    new = certificate(authority.certificate("catalog"))

    ca = x509.load_pem_x509_certificate(catalog.ca.read_bytes())
    new.verify_directly_issued_by(ca)
    assert (new.not_valid_after_utc - old.not_valid_after_utc).days == 336
    assert catalog.key.read_bytes() == key


def test_a_certificate_follows_the_hosts(authority: Authority) -> None:
    authority.certificate("nats", serves=("localhost",))

    moved = certificate(authority.certificate("nats", serves=("broker.example",)))

    names = moved.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["nats.banyan", "broker.example"]


def test_all_who_ask_at_once_get_the_same(tmp_path: Path) -> None:
    def ask(_: int) -> tuple[bytes, bytes, bytes]:
        got = Authority(tmp_path / "new").certificate("catalog")
        return got.ca.read_bytes(), got.certificate.read_bytes(), got.key.read_bytes()

    with ThreadPoolExecutor(8) as crowd:
        answers = set(crowd.map(ask, range(16)))

    assert len(answers) == 1


def test_a_killed_making_is_completed(authority: Authority) -> None:
    catalog = authority.certificate("catalog")
    key = catalog.key.read_bytes()
    catalog.certificate.rename(f"{catalog.certificate}.draft")

    again = authority.certificate("catalog")

    assert again.key.read_bytes() == key
    assert not list(authority.folder.glob("*.draft"))


@pytest.mark.parametrize("name", ["catalog.pem", "catalog.key"])
def test_a_damaged_file_says_that_it_wants_to_be_deleted(authority: Authority, name: str) -> None:
    authority.certificate("catalog")
    file = authority.folder / name
    file.write_text("-----BEGIN NOTHING-----")

    with pytest.raises(EngineError, match=rf"{name} is damaged: delete .*/{name}, "):
        authority.certificate("catalog")

    file.unlink()
    authority.certificate("catalog")


@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
def test_a_damaged_authority_wants_all_to_be_made_anew(authority: Authority, name: str) -> None:
    authority.certificate("catalog")
    (authority.folder / name).write_text("")

    with pytest.raises(EngineError, match=rf"{name} is damaged: delete the folder "):
        authority.certificate("catalog")


def test_an_authority_without_its_key_is_not_replaced_in_silence(authority: Authority) -> None:
    authority.certificate("catalog")
    (authority.folder / "ca.key").unlink()

    with pytest.raises(EngineError, match=r"ca\.pem does not fit its key: delete the folder "):
        authority.certificate("catalog")


def test_a_certificate_of_another_authority_is_left_alone(
    authority: Authority, tmp_path: Path
) -> None:
    ours = authority.certificate("catalog")
    foreign = Authority(tmp_path / "other").certificate("catalog").certificate.read_bytes()
    ours.certificate.write_bytes(foreign)

    with pytest.raises(EngineError, match=r"catalog\.pem is of another authority: delete "):
        authority.certificate("catalog")

    assert ours.certificate.read_bytes() == foreign


def test_a_key_that_others_can_read_is_refused(authority: Authority) -> None:
    authority.certificate("catalog").key.chmod(0o640)

    with pytest.raises(EngineError, match=r"catalog\.key can be read by others: delete "):
        authority.certificate("catalog")


@pytest.mark.parametrize("name", ["", "ca", "../ca", "*", "a.b", "A", "-a", "a-", "a" * 64])
def test_a_name_that_no_host_can_have_is_refused(authority: Authority, name: str) -> None:
    with pytest.raises(EngineError, match="cannot be part of a host name"):
        authority.certificate(name)

    assert not authority.folder.exists()
