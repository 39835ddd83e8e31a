"""The server to beat: FastAPI, orjson and onnxruntime, with nothing else in the way.

It is what a careful engineer writes in an afternoon: one uvicorn worker on uvloop and httptools,
one fixed route, no pydantic body, one thread a session, no access log, and the model run on the
event loop, which is right for a run of microseconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

from registry.inference import onnxruntime as ort

NUMPY = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}
DATATYPE = {np.dtype(np.float32): "FP32", np.dtype(np.int64): "INT64"}


def application(name: str, model: Path) -> FastAPI:
    """An application that answers Open Inference Protocol requests for one model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    app = FastAPI(openapi_url=None)

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        return Response()

    @app.post(f"/v2/models/{name}/infer")
    async def infer(request: Request) -> Response:
        inputs = {
            tensor["name"]: np.array(tensor["data"], NUMPY[tensor["datatype"]]).reshape(
                tensor["shape"]
            )
            for tensor in orjson.loads(await request.body())["inputs"]
        }
        answers = session.run(outputs, inputs)
        tensors = [
            {
                "name": output,
                "datatype": DATATYPE[answer.dtype],
                "shape": answer.shape,
                "data": answer.ravel().tolist(),
            }
            for output, answer in zip(outputs, answers, strict=True)
        ]
        answer = {"model_name": name, "model_version": "1", "outputs": tensors}
        return Response(orjson.dumps(answer), media_type="application/json")

    return app


def main() -> None:
    """Serve one model on a loopback port until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    uvicorn.run(
        application(args.name, args.model),
        host="127.0.0.1",
        port=args.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
