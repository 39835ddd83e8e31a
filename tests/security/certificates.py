"""A certificate authority of our own, and certificates by it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme

from configs.settings import Listen


@dataclass(frozen=True)
class Certified:
    """The files of a server's certificate and key, and of whoever signed it."""

    certificate: Path
    key: Path
    ca: Path

    def listen(self) -> Listen:
        """The settings of a listener that uses them."""
        return Listen(tls_certificate=self.certificate, tls_key=self.key)


def certified(folder: Path, name: str = "127.0.0.1") -> Certified:
    """A certificate for a name, by an authority made for it."""
    folder.mkdir(exist_ok=True)
    made = Certified(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    authority.cert_pem.write_to_path(str(made.ca))
    issued.private_key_pem.write_to_path(str(made.key))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(made.certificate), append=True)
    return made
