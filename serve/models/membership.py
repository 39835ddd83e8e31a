"""What the processes of one gateway show each other across nodes: one certificate for all of them.

It is the one that the settings name, or one that is made when the first replica on another node
needs it, and lies in the run folder until the gateway ends.
"""

from __future__ import annotations

import ssl
import tempfile
import threading
from pathlib import Path

from configs.settings import Links
from serve.models.certificates import Certificate, client_context, read

_FILES = ("authority.pem", "certificate.pem", "key.pem")


class Membership:
    """Gives the certificate of a gateway's processes, from its settings and its run folder."""

    def __init__(self, settings: Links, run_dir: Path) -> None:
        self._settings = settings
        self._folder = run_dir / "link"
        self._making = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def certificate(self) -> Certificate:
        """Give the certificate, which the first thread of one process that asks has made."""
        with self._making:
            return self._made()

    def _made(self) -> Certificate:
        if not (self._settings.given or self._folder.exists()):
            from serve.models.authority import made  # noqa: PLC0415 - slow, and seldom needed

            self._folder.parent.mkdir(parents=True, exist_ok=True)
            unnamed = Path(tempfile.mkdtemp(prefix="link-", dir=self._folder.parent))
            new = made()
            for name, content in zip(
                _FILES, (new.authority, new.certificate, new.key), strict=True
            ):
                path = unnamed / name
                path.touch(mode=0o600)
                path.write_bytes(content)
            unnamed.rename(self._folder)
        return self._read()

    def client_context(self) -> ssl.SSLContext | None:
        """Give what to call other nodes with; None while no certificate has been needed."""
        if self._context is None and (self._settings.given or self._folder.exists()):
            self._context = client_context(self._read())
        return self._context

    def _read(self) -> Certificate:
        given = self._settings
        if given.tls_authority and given.tls_certificate and given.tls_key:
            return read(given.tls_authority, given.tls_certificate, given.tls_key)
        return read(*(self._folder / name for name in _FILES))
