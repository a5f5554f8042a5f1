"""A certificate authority for one test, and the certificates of servers and clients that it has signed."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "temporal.test"

Key = ec.EllipticCurvePrivateKey


class Authority:
    """Signs certificates for 127.0.0.1, of servers and of clients."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._own = _certificate(self._name, self._key, self._name, self._key, authority=True)

    @property
    def pem(self) -> str:
        """What those must trust whom its certificates shall convince."""
        return _pem(self._own)

    def issue(self, folder: Path, name: str) -> tuple[str, str]:
        """A certificate and its key as PEM text; also in ``{name}.pem`` and ``{name}.key`` of the folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _pem(_certificate(_name(name), key, self._name, self._key, authority=False))
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        (folder / f"{name}.pem").write_text(certificate)
        (folder / f"{name}.key").write_text(secret)
        return certificate, secret


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(subject: x509.Name, key: Key, issuer: x509.Name, signer: Key, *, authority: bool) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName(NAME)]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
