"""TLS for whoever listens: the certificate and its key, and nothing older than TLS 1.2."""

from __future__ import annotations

import ssl
from pathlib import Path

from configs.errors import StartError
from configs.settings import Listen


def server_context(listen: Listen, *protocols: str) -> ssl.SSLContext | None:
    """Give what a listener speaks TLS with, None if it is to speak in the clear.

    Clients are offered the `protocols` (ALPN, RFC 7301).

    Raises `StartError` when the certificate or its key cannot be used.
    """
    if listen.tls_certificate is None or listen.tls_key is None:
        return None
    _readable("listen.tls_certificate", listen.tls_certificate)
    _readable("listen.tls_key", listen.tls_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty pass phrase, because nobody is there to be asked for one.
        context.load_cert_chain(listen.tls_certificate, listen.tls_key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise StartError(_why(listen.tls_certificate, listen.tls_key, error)) from None
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def _readable(setting: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise StartError(f"{setting} {path} cannot be read: {error.strerror}") from None


def _why(certificate: Path, key: Path, error: Exception) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    if reason == "KEY_VALUES_MISMATCH":
        return f"listen.tls_key {key} is not the key of listen.tls_certificate {certificate}"
    return (
        f"listen.tls_certificate {certificate} and listen.tls_key {key} cannot be used: both must "
        "be PEM files, and the key without a pass phrase"
    )
