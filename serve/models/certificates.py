"""The certificate by which gateways and hosts on other nodes know each other.

Both ends show one that the same authority has signed, and speak TLS 1.3: whoever has a certificate
by this authority is a member, so it must sign nothing else.
"""

from __future__ import annotations

import datetime
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from configs.errors import StartError

_NAME = "weir"
_VALID = datetime.timedelta(days=365)
_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, its key and the authority that signed it, each in PEM."""

    authority: bytes
    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Say nothing of the key, wherever this is printed."""
        return "Certificate(...)"


def made() -> Certificate:
    """Make an authority and one certificate by it, for a year; the authority's key is not kept.

    No more members can be made later, so that nobody can steal the means to.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _signed(f"{_NAME} authority", authority_key, authority_key, None)
    certificate = _signed(_NAME, key, authority_key, authority)
    pem = serialization.Encoding.PEM
    return Certificate(
        authority.public_bytes(pem),
        certificate.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def server_context(shown: Certificate) -> ssl.SSLContext:
    """Give what a host listens with; `StartError` when the certificate cannot be used."""
    return _context(ssl.PROTOCOL_TLS_SERVER, shown)


def client_context(shown: Certificate) -> ssl.SSLContext:
    """Give what a gateway connects with; `StartError` when the certificate cannot be used."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, shown)


def _context(side: int, shown: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False  # Members are known by their authority, wherever they live.
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=shown.authority.decode("ascii"))
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # Only a file can be loaded.
            file.write(shown.key + shown.certificate)
            file.flush()
            context.load_cert_chain(file.name, password="")
    except (ssl.SSLError, ValueError) as error:
        raise StartError(
            "the link's certificate, key and authority cannot be used: all must be PEM, the key "
            "without a pass phrase and the certificate's own"
        ) from error
    return context


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if authority is None else authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(authority is None, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if authority is None:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    else:
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    return builder.sign(signer, hashes.SHA256())


def read(authority: Path, certificate: Path, key: Path) -> Certificate:
    """Read a certificate from its files; `StartError` names the one that cannot be read."""
    contents = []
    for name, path in (
        ("links.tls_authority", authority),
        ("links.tls_certificate", certificate),
        ("links.tls_key", key),
    ):
        try:
            contents.append(path.read_bytes())
        except OSError as error:
            raise StartError(f"{name} {path} cannot be read: {error.strerror}") from None
    return Certificate(*contents)
