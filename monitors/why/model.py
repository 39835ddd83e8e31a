"""How a model is asked again about rows that it has answered; whoever runs models provides it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from monitors.profile.reading import Tensors
from registry.records import Version

Model = Callable[[Tensors], Tensors]
"""Runs rows of inputs, and gives their outputs; both by the names of the tensors."""

Opened = Callable[[Version], AbstractContextManager[Model]]
"""Opens the model of a version for a while, away from those who serve it."""
