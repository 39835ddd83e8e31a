"""The certificate by which gateways and hosts on other nodes know each other.

Both ends show one that the same authority has signed, and speak TLS 1.3: whoever has a certificate
by this authority is a member, so it must sign nothing else.
"""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from configs.errors import StartError


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, its key and the authority that signed it, each in PEM."""

    authority: bytes
    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Say nothing of the key, wherever this is printed."""
        return "Certificate(...)"


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
