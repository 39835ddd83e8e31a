"""One connection to a control API: what goes wrong on it becomes an error with a remedy."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
from pydantic import ValidationError

from configs.errors import BadInput, DeadlineExceeded, Unavailable, WeirError, of_code
from serve.control.schemas import ErrorView

# Checking a model and warming a version up both take their time.
ANSWER_S = 180.0
CONNECT_S = 2.0


class Connection:
    """Sends requests with the same headers to one address.

    `ca` is a PEM file of the certificates to trust, in place of those that browsers trust.
    `answered` says that somebody has.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], ca: Path | None) -> None:
        self._url = base_url.rstrip("/")
        self.answered = False
        # No proxy out of the environment may stand between us and our own machine.
        self._http = httpx.Client(
            headers=dict(headers),
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            verify=_trusting(ca),
            trust_env=False,
        )

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        """One request and its answer; raises what the API names."""
        try:
            response = self._http.request(
                method, self._url + path, content=content, headers=headers, params=params
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise BadInput(f"{self._url!r} is no address such as http://127.0.0.1:8002") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unavailable(_unreached(self._url, str(error))) from None
        except httpx.TimeoutException:
            raise DeadlineExceeded(
                f"the gateway at {self._url} did not answer within {ANSWER_S:g} s"
            ) from None
        except httpx.TransportError as error:
            raise Unavailable(_broken_off(self._url, str(error))) from None
        self.answered = True
        if response.is_success:
            return response
        raise _named(response)


def shown(key: str | None) -> dict[str, str]:
    """The header that shows a key; `BadInput` if it cannot be one."""
    if key is None:
        return {}
    if not (key.isascii() and key.isprintable()):
        raise BadInput("the API key has characters that no key has: copy it once more")
    return {"Authorization": f"Bearer {key.strip()}"}


def stranger(response: httpx.Response) -> Unavailable:
    """The error that an answer is not one of a control API."""
    url = response.request.url
    return Unavailable(
        f"what answers at {url.scheme}://{url.netloc.decode()} is not the control API of a "
        f"gateway (HTTP {response.status_code} for {url.path})"
    )


def _trusting(ca: Path | None) -> ssl.SSLContext | bool:
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError):
        raise BadInput(f"{ca} holds no certificates in PEM format") from None


def _unreached(url: str, reason: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return (
            f"the certificate of {url} is not to be trusted: name the file of whoever signed it "
            "in WEIR_CA, or with --ca"
        )
    if "SSL" in reason:
        return f"what answers at {url} does not speak TLS: try http://"
    return f"no gateway answers at {url}; start one with `weir up`"


def _broken_off(url: str, reason: str) -> str:
    hint = "; if it speaks TLS, ask https://" if url.startswith("http://") else ""
    return f"the gateway at {url} broke off the connection: {reason}{hint}"


def _named(response: httpx.Response) -> WeirError:
    """The error that an answer names by its code; the nearest one for a code of a newer gateway."""
    try:
        view = ErrorView.model_validate_json(response.content)
    except ValidationError:
        return stranger(response)
    return of_code(view.code, view.error)
