"""The certificate of the controller, made when a lab starts for the first time; nothing else knows its authority."""

from __future__ import annotations

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "juju-apiserver"
"""What Juju's own certificates are made out to."""

_LIFETIME = datetime.timedelta(days=3650)


def ensure(path: pathlib.Path, now: datetime.datetime) -> str:
    """Makes the file with the controller's key, certificate and authority unless it is there.

    Returns:
        The authority's certificate, as clients are to have it (PEM).
    """
    if not path.exists():
        temporary = path.with_suffix(".new")
        temporary.touch(0o600)
        temporary.write_bytes(_make(now))
        temporary.replace(path)
    return authority(path.read_text())


def authority(text: str) -> str:
    """The last certificate of a file."""
    begin = "-----BEGIN CERTIFICATE-----"
    return begin + text.rpartition(begin)[2]


def _make(now: datetime.datetime) -> bytes:
    """Key, certificate and authority. The authority's own key is forgotten."""
    issuer, issuer_key = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "juju-ca")]), _key()
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    ca = (
        _builder(issuer, issuer, issuer_key, now)
        .add_extension(constraints, critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
    key = _key()
    names = [x509.DNSName(NAME), x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    certificate = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]), issuer, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # Strict verifiers, as Python's from 3.13 on, want certificates to name the key that has signed them.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(encoding) + ca.public_bytes(encoding)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
