"""One ONNX session: tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from configs.errors import ModelFailed, Refused
from registry.complaints import plain
from registry.inference import RunOptions, errors, onnxruntime
from registry.signature import Signature
from serve.models.frames import Tensors
from serve.models.providers import CPU, Chosen, refuse_missing
from serve.models.reused import ReusedBuffers

_ORT_ERRORS = (
    errors.Fail,
    errors.InvalidArgument,
    errors.InvalidGraph,
    errors.InvalidProtobuf,
    errors.NoModel,
    errors.NotImplemented,
    errors.RuntimeException,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Optimisation:
    """Whether the graph is optimised already, and the file that is to keep what is made of it."""

    done: bool = False
    save_as: Path | None = None


PLAIN = Optimisation()
"""The graph is optimised while it is loaded, and what comes out is kept nowhere."""


class Session:
    """A loaded model that runs batches, in the order of its signature's tensors."""

    def __init__(
        self,
        model: bytes | Path,
        signature: Signature,
        threads: int,
        providers: Sequence[Chosen] = CPU,
        optimisation: Optimisation = PLAIN,
    ) -> None:
        self._session = open_session(model, threads, providers, optimisation)
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]
        on_cpu = [name for name, _ in providers] == [name for name, _ in CPU]
        self._reused = ReusedBuffers.of(self._session, signature) if on_cpu else None

    def run(self, tensors: Sequence[NDArray[Any]], options: RunOptions | None = None) -> Tensors:
        """Run one batch; `ModelFailed` says what the model complained of.

        Another thread may end the run: it sets `terminate` on its options.
        """
        named = dict(zip(self._inputs, tensors, strict=True))
        try:
            return tuple(self._session.run(self._outputs, named, options))
        except (*_ORT_ERRORS, MemoryError) as error:
            raise ModelFailed(f"the model failed: {plain(error)}") from error

    def run_brief(
        self, tensors: Sequence[NDArray[Any]], options: RunOptions | None = None
    ) -> Tensors:
        """Run one batch as `run` does; without options, what it gives lasts until the next call.

        Calls without options must not overlap.
        """
        if options is None and self._reused is not None:
            answer = self._reused.run(tensors)
            if answer is not None:
                return answer
        return self.run(tensors, options)


def open_session(
    model: bytes | Path, threads: int, providers: Sequence[Chosen], optimisation: Optimisation
) -> onnxruntime.InferenceSession:
    """Load a model; `Refused` says why it does not load, or not where it was told to run."""
    try:
        session = onnxruntime.InferenceSession(
            model,
            _options(threads, optimisation),
            providers=[(name, dict(options)) for name, options in providers],
            enable_fallback=0,  # It would go on without a provider that fails.
        )
    except _ORT_ERRORS as error:
        raise Refused(f"the model does not load: {plain(error)}") from error
    refuse_missing(providers, session.get_providers())
    return session


def _options(threads: int, optimisation: Optimisation) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # A spinning thread would take its processor from the gateway while nothing arrives.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if optimisation.done:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if optimisation.save_as is not None:
        options.optimized_model_filepath = str(optimisation.save_as)
        # Weights in a file of their own are mapped into memory, not copied, when it is loaded.
        for name, value in (
            ("file_name", f"{optimisation.save_as.name}.weights"),
            ("min_size_in_bytes", "1024"),
        ):
            entry = f"session.optimized_model_external_initializers_{name}"
            options.add_session_config_entry(entry, value)
    return options
