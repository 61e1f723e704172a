"""Nothing but starlette and uvicorn around the model as gitml loads it: what any server in Python has to spend."""

import hashlib
import json
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gitml.models.loading import load

artifact, signature, port = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_bytes()), int(sys.argv[3])
model = load(artifact, "skops", signature, sha256=hashlib.sha256(artifact.read_bytes()).hexdigest())
rows = model.signature.rows


async def predict(request: Request) -> JSONResponse:
    asked = await request.json()
    return JSONResponse({"p_late": model.predict(rows(asked["rows"])).tolist()})


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
