"""Every error that a user can meet, in one tree.

* WeirError
  x BadInput              400  the request itself is wrong
    + BadTensor                 a tensor's shape, datatype or data
  x Unauthenticated       401  nobody knows who is calling
  x Forbidden             403  the caller may not do this, or nobody may
  x NotFound              404
    + ModelNotFound
    + VersionNotFound
  x MethodNotAllowed      405
  x TooSlow               408  the client did not send its request in time
  x Conflict              409  the change does not fit the present state
  x PreconditionFailed    412  somebody else changed it first
  x TooLarge              413
  x UnsupportedEncoding   415
  x Refused               422  a model, card, profile or label that cannot be accepted
    + InTheFuture               a label from a time that has not come
  x OverQuota             429  the caller has used up its rate: try again
  x ClientGone            499  the client left before it got its answer
  x InternalError         500
    + ModelFailed               the model raised while it ran
  x NotSupported          501  a part of the protocol that is not offered
  x Unavailable           503  not ready: try again
    + NotReady
    + Overloaded                more is asked than can be answered
  x DeadlineExceeded      504
  x ConfigError                a setting that does not exist or is out of bounds
  x StartError                 the gateway cannot start here

Each class carries the HTTP status, a stable code, whether trying again may help and after how many
seconds; `serve.edge.errors` and the control API turn them into answers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class WeirError(Exception):
    """What all errors of Weir have in common: a status, a code and one sentence."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    retry_after_s: float = 1.0

    @property
    def message(self) -> str:
        """The sentence meant for the user."""
        return str(self)


class BadInput(WeirError):
    """The request cannot be understood."""

    status = 400
    code = "bad_input"


class Breach(StrEnum):
    """What of a version's contract a request breaks; requests are counted by it."""

    MISSING_INPUT = "missing input"
    UNKNOWN_INPUT = "unknown input"
    RENAMED_INPUT = "renamed input"
    DATATYPE = "datatype"
    SHAPE = "shape"
    VALUE = "value"
    OUTPUT = "output"


class BadTensor(BadInput):
    """A tensor does not have the shape, datatype or data that it must have."""

    code = "bad_tensor"

    def __init__(self, message: str, breach: Breach = Breach.VALUE) -> None:
        super().__init__(message)
        self.breach = breach


class Unauthenticated(WeirError):
    """The caller shows no key, or none that is valid."""

    status = 401
    code = "unauthenticated"


class Forbidden(WeirError):
    """The caller is known and may not do this, or a setting forbids it to all."""

    status = 403
    code = "forbidden"


class NotFound(WeirError):
    """What was asked for does not exist."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """No model of that name is registered."""

    code = "model_not_found"


class VersionNotFound(NotFound):
    """The model has no such version."""

    code = "version_not_found"


class MethodNotAllowed(WeirError):
    """The path exists, but only for another method, which is `allowed`."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, allowed: str = "") -> None:
        super().__init__(message)
        self.allowed = allowed


class TooSlow(WeirError):
    """The client took longer to send its request than is allowed."""

    status = 408
    code = "too_slow"


class Conflict(WeirError):
    """The change does not fit the present state."""

    status = 409
    code = "conflict"


class PreconditionFailed(WeirError):
    """The state has moved on since the caller read it."""

    status = 412
    code = "precondition_failed"


class TooLarge(WeirError):
    """The body is larger than the configured cap."""

    status = 413
    code = "too_large"


class UnsupportedEncoding(WeirError):
    """The body is in an encoding that is not understood."""

    status = 415
    code = "unsupported_encoding"


class Refused(WeirError):
    """A model, card, profile or label that cannot be accepted, and why."""

    status = 422
    code = "refused"


class InTheFuture(Refused):
    """A label says of itself that it is from a time that has not come."""


class OverQuota(WeirError):
    """The caller has used up its rate for the moment."""

    status = 429
    code = "over_quota"
    retryable = True


class ClientGone(WeirError):
    """The client left before it got its answer; nobody reads this."""

    status = 499
    code = "client_gone"


class InternalError(WeirError):
    """Something on our side went wrong."""


class ModelFailed(InternalError):
    """The model raised while it ran."""

    code = "model_failed"


class NotSupported(WeirError):
    """A part of the protocol that is not offered here."""

    status = 501
    code = "not_supported"


class Unavailable(WeirError):
    """Not now: try again."""

    status = 503
    code = "unavailable"
    retryable = True


class NotReady(Unavailable):
    """The version is known but not yet ready to answer."""

    code = "not_ready"


class Overloaded(Unavailable):
    """More is asked than can be answered in time."""

    code = "overloaded"


class DeadlineExceeded(WeirError):
    """No answer within the time allowed."""

    status = 504
    code = "deadline_exceeded"
    retryable = True


class ConfigError(WeirError):
    """A setting that does not exist, or a value out of bounds."""

    status = 400
    code = "config"


class StartError(WeirError):
    """The gateway cannot start here, and why."""

    code = "start"
