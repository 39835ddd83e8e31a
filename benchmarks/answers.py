"""Whether a server answers right: nobody is measured before."""

from __future__ import annotations

import grpc
import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.model import POSITIVE, SCORES, Workload
from benchmarks.processes import BenchmarkError
from benchmarks.questions import Floats, Questions
from serve.protocol.inference_pb2 import ModelInferResponse

TOLERANCE = 1e-5
HEADER_LENGTH = "Inference-Header-Content-Length"
GRPC_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_TIMEOUT_S = 30.0
_MOST_ASKED = 64


def score(answer: bytes) -> float:
    """The probability of the positive class in an answer; `KeyError` if it has none."""
    for tensor in orjson.loads(answer)["outputs"]:
        if tensor["name"] == SCORES:
            return float(np.ravel(tensor["data"])[POSITIVE])
    raise KeyError(SCORES)


def check(url: str, workload: Workload) -> None:
    """Ask every question once; the first wrong answer is a `BenchmarkError`."""
    with httpx.Client(trust_env=False, timeout=_TIMEOUT_S) as client:
        for number, (body, right) in enumerate(zip(workload.lines, workload.scores, strict=True)):
            given = score(_post(client, url, body, 0)[0])
            if not abs(given - right) <= TOLERANCE:
                message = f"{url} scores row {number} {given}, not {right}"
                raise BenchmarkError(message)


def check_questions(url: str, questions: Questions) -> None:
    """Ask up to 64 questions of a workload; the first wrong answer is a `BenchmarkError`."""
    asked = list(zip(questions.each, questions.rights, strict=True))[:_MOST_ASKED]
    with httpx.Client(trust_env=False, timeout=_TIMEOUT_S) as client:
        for number, (body, right) in enumerate(asked):
            if questions.protocol == "grpc":
                given = ask_grpc(url, body[5:], questions.output)
            else:
                told, header_length = _post(client, url, body, questions.header_length)
                given = tensor(told, header_length, questions.output)
            _compare(f"{url}, question {number}", given, right)


def ask_grpc(address: str, message: bytes, output: str, timeout_s: float = _TIMEOUT_S) -> Floats:
    """One unary call; gives the output. `BenchmarkError` with the status of a call that fails."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(GRPC_METHOD)
        try:
            told = call(message, timeout=timeout_s, wait_for_ready=True)
        except grpc.RpcError as error:
            message_ = f"{address} answers {error}"
            raise BenchmarkError(message_) from error
    answer = ModelInferResponse.FromString(told)
    for place, one in enumerate(answer.outputs):
        if one.name == output:
            if answer.raw_output_contents:
                return np.frombuffer(answer.raw_output_contents[place], np.float32)
            return np.array(one.contents.fp32_contents, np.float32)
    raise KeyError(output)


def tensor(answer: bytes, header_length: int, output: str) -> NDArray[np.float32]:
    """An output of an HTTP answer, written out or packed; `KeyError` if it has none."""
    head = answer[:header_length] if header_length else answer
    start = header_length
    for one in orjson.loads(head)["outputs"]:
        size = (one.get("parameters") or {}).get("binary_data_size")
        if one["name"] == output:
            if size is None:
                return np.array(one["data"], np.float32)
            return np.frombuffer(answer[start : start + size], np.float32)
        start += size or 0
    raise KeyError(output)


def _compare(who: str, given: Floats, right: Floats) -> None:
    if given.size != right.size or not np.allclose(given.ravel(), right.ravel(), 0.0, TOLERANCE):
        message = f"{who}: {given.ravel()[:4]}..., not {right.ravel()[:4]}..."
        raise BenchmarkError(message)


def _post(client: httpx.Client, url: str, body: bytes, header_length: int) -> tuple[bytes, int]:
    answer = client.post(url, content=body, headers=headers(header_length))
    if answer.status_code != httpx.codes.OK:
        message = f"{url} answers {answer.status_code}: {answer.text[:200]}"
        raise BenchmarkError(message)
    return answer.content, int(answer.headers.get(HEADER_LENGTH, "0"))


def headers(header_length: int) -> dict[str, str]:
    """What a request says of its body."""
    if not header_length:
        return {"Content-Type": "application/json"}
    return {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(header_length)}
