"""The real guardrails server on loopback. Its own command binds every interface.

Arguments: the folder of its configurations, and the URL of the main model.
"""

from __future__ import annotations

import os
import socket
import sys

folder, upstream = sys.argv[1:]
os.environ |= {
    "NEMO_TELEMETRY_ENABLED": "false",
    "NEMO_GUARDRAILS_DISABLE_CHAT_UI": "true",
    "MAIN_MODEL_BASE_URL": upstream,
    "OPENAI_API_KEY": "unused",
}

import uvicorn  # noqa: E402
from nemoguardrails.server import api  # noqa: E402

api.app.rails_config_path = folder
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the server tells everything there, and nobody reads it
uvicorn.Server(uvicorn.Config(api.app, log_level="error")).run(sockets=[listener])
