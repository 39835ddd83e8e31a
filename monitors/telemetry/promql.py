"""PromQL made from the registry, so that no query holds a name that was typed by hand."""

from __future__ import annotations

from configs import errors
from monitors.telemetry import names
from monitors.telemetry.names import Metric
from monitors.telemetry.prometheus import prometheus_label, prometheus_name


def series(metric: Metric, *matchers: str, part: str = "") -> str:
    """A selector of the metric's series; `part` is `bucket`, `count` or `sum` of a histogram."""
    name = "_".join(word for word in (prometheus_name(metric), part) if word)
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name


def matches(attribute: str, operator: str, value: str) -> str:
    """One condition of a selector, such as `weir_arm!="shadow"`."""
    return f'{prometheus_label(attribute)}{operator}"{value}"'


def labels(*attributes: str) -> str:
    """A list of labels in parentheses, as `by`, `on` and `without` take it."""
    return f"({', '.join(prometheus_label(attribute) for attribute in attributes)})"


def legend(*attributes: str) -> str:
    """The values of the attributes, as a dashboard's legend shows them."""
    return " ".join(f"{{{{{prometheus_label(attribute)}}}}}" for attribute in attributes)


def our_fault() -> str:
    """The condition that a request failed, and not by the client's own doing.

    Every `error.type` counts but those of errors that the client can avoid (status below 500), so
    that an error nobody thought of counts too.
    """
    codes = {error.code for error in vars(errors).values() if _is_clients(error)}
    return matches(names.ERROR_TYPE, "!~", "|".join(["", *sorted(codes)]))


def _is_clients(error: object) -> bool:
    return isinstance(error, type) and issubclass(error, errors.WeirError) and error.status < 500
