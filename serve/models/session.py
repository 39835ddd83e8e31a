"""One ONNX session: tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import ModelFailed, Refused
from registry.complaints import plain
from registry.inference import RunOptions, errors, onnxruntime
from registry.signature import Signature
from serve.models.frames import Tensors

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


class Session:
    """A loaded model that runs batches, in the order of its signature's tensors."""

    def __init__(self, model: bytes, signature: Signature, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # A spinning thread would take its processor from the gateway while nothing arrives.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except _ORT_ERRORS as error:
            raise Refused(f"the model does not load: {plain(error)}") from error
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]

    def run(self, tensors: Sequence[NDArray[Any]], options: RunOptions | None = None) -> Tensors:
        """Run one batch; `ModelFailed` says what the model complained of.

        Another thread may end the run: it sets `terminate` on its options.
        """
        named = dict(zip(self._inputs, tensors, strict=True))
        try:
            answer = self._session.run(self._outputs, named, options)
        except _ORT_ERRORS as error:
            raise ModelFailed(f"the model failed: {plain(error)}") from error
        return tuple(np.asarray(tensor) for tensor in answer)
