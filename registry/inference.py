"""ONNX Runtime, told to keep what it learns to itself.

From 1.29 on, its Linux builds report to their maker as soon as they are imported, and leave an
identifier in the temporary folder, unless this variable is set before. Every import of ONNX
Runtime in Weir goes through this module.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime import IOBinding, RunOptions
from onnxruntime.capi import onnxruntime_pybind11_state as errors

__all__ = ["IOBinding", "RunOptions", "errors", "onnxruntime"]
