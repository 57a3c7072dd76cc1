"""A certificate authority of our own: who is who among the programs of a shop."""

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from banyan.engines.trouble import EngineError, disk_trouble_explained
from banyan.kernel.clock import Clock, SystemClock
from banyan.kernel.security import Credentials

_LIFE = timedelta(days=365)
_LIFE_OF_AUTHORITY = 20 * _LIFE
_RENEWED_BEFORE_END = timedelta(days=30)
# A clock that goes a little behind ours does not find a new certificate to be of the future.
_TOLERANCE = timedelta(hours=1)
_NAME = re.compile(r"(?!ca$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

Read = TypeVar("Read")


def host_of(name: str) -> str:
    """Give the name that the certificate of a program bears."""
    return f"{name}.banyan"


class Authority:
    """The one whose signature the programs of a shop believe, and those of no other shop.

    Its folder holds `ca.pem` and `ca.key`, such a pair for each program, and `lock`. A key is
    there before its certificate and stays when that is renewed, so a pair always fits.
    """

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self.folder = folder
        self._clock = clock or SystemClock()

    def certificate(self, name: str, *, serves: Sequence[str] = ()) -> Credentials:
        """Return the credentials of a program: made when first asked for, and renewed in time.

        They are good for a client or, with hosts that it serves on, for a server; never for both.
        Several processes may ask at once.
        """
        if not _NAME.fullmatch(name):
            raise EngineError(
                f'"{name}" cannot be part of a host name, and so not be the name of a program: '
                'write small letters, digits and dashes, and not "ca".'
            )
        pair = Credentials(
            ca=self.folder / "ca.pem",
            certificate=self.folder / f"{name}.pem",
            key=self.folder / f"{name}.key",
        )
        with disk_trouble_explained(self.folder), self._locked():
            signer, ca = self._root()
            key = _kept_key(pair.key, f"delete {pair.key}")
            hosts = [host_of(name), *serves]
            if not (pair.certificate.exists() and self._is_good(pair.certificate, key, ca, hosts)):
                now = self._clock.now()
                _write(pair.certificate, _signed(hosts, key, ca, signer, now, server=bool(serves)))
        return pair

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Have the folder for ourselves; should we die, the next one gets it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _root(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """Read the authority's own key and certificate, or make both."""
        file, remedy = self.folder / "ca.pem", f"delete the folder {self.folder}"
        key = _kept_key(self.folder / "ca.key", remedy)
        if not file.exists():
            _write(file, _self_signed(key, self._clock.now()))
        ca = _read(file, x509.load_pem_x509_certificate, remedy)
        if ca.public_key() != key.public_key():
            raise _unusable(file, "does not fit its key", remedy)
        if ca.not_valid_after_utc - self._clock.now() < _LIFE:
            raise _unusable(file, "ends too soon", remedy)
        return key, ca

    def _is_good(
        self,
        file: Path,
        key: ec.EllipticCurvePrivateKey,
        ca: x509.Certificate,
        hosts: Sequence[str],
    ) -> bool:
        """Tell whether a certificate says what it should; one that is not ours is left alone."""
        found = _read(file, x509.load_pem_x509_certificate, f"delete {file}")
        try:
            found.verify_directly_issued_by(ca)
        except (ValueError, TypeError, InvalidSignature):
            raise _unusable(file, "is of another authority", f"delete {file}") from None
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            found.public_key() == key.public_key()
            and list(named) == [_general_name(host) for host in hosts]
            and found.not_valid_after_utc - self._clock.now() > _RENEWED_BEFORE_END
        )


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> bytes:
    """Make the certificate of an authority, which differs from every other's by its name."""
    name = _named(f"Banyan {secrets.token_hex(8)}")
    return _pem(
        _blank(name, name, key, now, _LIFE_OF_AUTHORITY, signs=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )


def _signed(
    hosts: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    now: datetime,
    *,
    server: bool,
) -> bytes:
    """Make the certificate of a program."""
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    return _pem(
        _blank(_named(hosts[0]), ca.subject, key, now, _LIFE, signs=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(issuer, critical=False)
        .add_extension(names, critical=False)
        .sign(signer, SHA256())
    )


def _blank(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    life: timedelta,
    *,
    signs: bool,
) -> x509.CertificateBuilder:
    """Begin a certificate with what all of ours have."""
    usage = x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    identity = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _TOLERANCE)
        .not_valid_after(now + life)
        .add_extension(usage, critical=True)
        .add_extension(identity, critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _kept_key(file: Path, remedy: str) -> ec.EllipticCurvePrivateKey:
    """Read a private key from its file, or make both."""
    if not file.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        _write(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    if file.stat().st_mode & 0o077:
        raise _unusable(file, "can be read by others", remedy)
    key = _read(file, lambda content: load_pem_private_key(content, password=None), remedy)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unusable(file, "is a key of another kind", remedy)
    return key


def _read(file: Path, parse: Callable[[bytes], Read], remedy: str) -> Read:
    try:
        return parse(file.read_bytes())
    except (ValueError, TypeError):
        raise _unusable(file, "is damaged", remedy) from None


def _write(file: Path, content: bytes) -> None:
    """Let a file appear at once with all its content, for our eyes only."""
    draft = file.with_name(f"{file.name}.draft")
    draft.unlink(missing_ok=True)
    with open(draft, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as sheet:
        sheet.write(content)
        sheet.flush()
        os.fsync(sheet.fileno())
    draft.replace(file)


def _unusable(file: Path, why: str, remedy: str) -> EngineError:
    return EngineError(f"{file} {why}: {remedy}, and what is missing is made anew.")
