"""An authority and the certificates that it signs, for a node that speaks TLS on loopback."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Writes `ca.pem` into its folder, and for each name that it signs `<name>.pem` and `<name>.key`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("authority")
        own = x509.BasicConstraints(ca=True, path_length=0)
        signs = _usage(key_cert_sign=True, crl_sign=True)
        certificate = self._certificate(self._name, self._key.public_key())
        certificate = certificate.add_extension(own, critical=True).add_extension(signs, critical=True)
        self._write("ca.pem", certificate)

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    def sign(self, name: str) -> None:
        """For a server or a client at 127.0.0.1 or localhost."""
        key = ec.generate_private_key(ec.SECP256R1())
        at = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = self._certificate(_named(name), key.public_key())
        certificate = certificate.add_extension(x509.SubjectAlternativeName(at), critical=False)
        self._write(f"{name}.pem", certificate.add_extension(issuer, critical=False))
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(hours=1),
            not_valid_after=now + datetime.timedelta(days=1),
        )

    def _write(self, name: str, certificate: x509.CertificateBuilder) -> None:
        signed = certificate.sign(self._key, hashes.SHA256())
        (self.folder / name).write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{**dict.fromkeys(names.split(), False), **allowed})
