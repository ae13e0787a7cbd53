"""Builds and runs existing servers, and the client with which they call each other."""

from __future__ import annotations

import http.client
import json
import logging
import os
from collections.abc import Mapping
from typing import Any, Final, Literal, Self, cast

from aiohttp import ClientResponse
from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from omegaconf import DictConfig
from omegaconf import OmegaConf as OmegaConf
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.middleware import Middleware

from nemo_gym.compat.client import GlobalAIOHTTPAsyncClientConfig as GlobalAIOHTTPAsyncClientConfig
from nemo_gym.compat.client import get_global_aiohttp_client as get_global_aiohttp_client
from nemo_gym.compat.client import get_response_json as get_response_json
from nemo_gym.compat.client import (
    is_global_aiohttp_client_request_debug_enabled as is_global_aiohttp_client_request_debug_enabled,
)
from nemo_gym.compat.client import is_global_aiohttp_client_setup as is_global_aiohttp_client_setup
from nemo_gym.compat.client import raise_for_status as raise_for_status
from nemo_gym.compat.client import request
from nemo_gym.compat.client import set_global_aiohttp_client as set_global_aiohttp_client
from nemo_gym.compat.config_types import BaseRunServerConfig as BaseRunServerConfig
from nemo_gym.compat.config_types import BaseRunServerInstanceConfig, BaseServerConfig, ConfigError
from nemo_gym.compat.errors import problems
from nemo_gym.compat.global_config import (
    DEFAULT_HEAD_SERVER_PORT,
    DEFAULT_HOST,
    DEFAULT_HOST_KEY_NAME,
    HEAD_SERVER_KEY_NAME,
    NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME,
    SERVER_TOKEN_KEY_NAME,
    config_from_yaml,
    get_first_server_config_dict,
    get_global_config_dict,
    get_server_token,
    plain_config,
    settings,
)
from nemo_gym.compat.hosted import hosted_app
from nemo_gym.compat.inner_failures import InnerFailures
from nemo_gym.compat.rollout_correlation import RolloutContextMiddleware, current_path_prefix
from nemo_gym.compat.rollout_correlation import apply_rollout_prefix as apply_rollout_prefix
from nemo_gym.compat.rollout_correlation import rollout_path_prefix as rollout_path_prefix
from nemo_gym.compat.running import (
    cookie_secret,
    enter_around,
    is_worker,
    profile_while_open,
    run_app,
    run_workers,
)
from nemo_gym.compat.running import is_nemo_gym_fastapi_entrypoint as is_nemo_gym_fastapi_entrypoint
from nemo_gym.compat.seeded_tools import SEED, seeding_row, take_tools
from nemo_gym.serving.auth import BearerAuth
from nemo_gym.serving.browsers import ALLOWED_HOSTS, WebPageGuard, allowed_hosts
from nemo_gym.serving.docs_page import docs_page
from nemo_gym.serving.errors import ErrorForms
from nemo_gym.serving.limits import SETTING, LimitRequests, Limits
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.profiling import CpuProfile, profile_of
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sessions import SESSION_ID_KEY as SESSION_ID_KEY
from nemo_gym.serving.sessions import SessionCookie
from nemo_gym.serving.sockets import is_loopback
from nemo_gym.wire.masking import remember_secret_settings

ServerStatus = Literal["success", "connection_error", "timeout", "unknown_error"]

_STATUS_TIMEOUT_S: Final = 5.0
_LONGEST_BODY: Final = 10_000
"""The number of characters of a request body in the log."""
_DOCS: Final = "/docs"
_MODEL_SERVERS: Final = "responses_api_models"


class ServerClient(BaseModel):
    """Calls servers by the names of their instances."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    head_server_config: BaseServerConfig
    global_config_dict: DictConfig

    @classmethod
    def load_head_server_config(cls) -> BaseServerConfig:
        """The address of the head server in this process's configuration."""
        config = settings()
        head_config = config.get(HEAD_SERVER_KEY_NAME)
        default = {
            "host": config.get(DEFAULT_HOST_KEY_NAME) or DEFAULT_HOST,
            "port": DEFAULT_HEAD_SERVER_PORT,
        }
        return BaseServerConfig.model_validate(default | dict(head_config or {}))

    @classmethod
    def load_from_global_config(cls, head_server_config: BaseServerConfig | None = None) -> Self:
        """A client for the servers of a head server.

        Raises:
            ConfigError: there is no head server at that address.
        """
        head = head_server_config or cls.load_head_server_config()
        try:
            published = json.loads(_get(head.host, head.port, "/global_config_dict_yaml"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConfigError(
                f"no head server at http://{head.host}:{head.port} ({error}): start one with "
                f"`gym env start`, or give the right address"
            ) from None
        return cls(head_server_config=head, global_config_dict=config_from_yaml(published))

    async def request(self, server_name: str, url_path: str, method: str, **kwargs: Any) -> ClientResponse:
        """One request to a server. Inside a rollout, the path to a model server names the rollout.

        Raises:
            ConfigError: no instance has this name.
            aiohttp.ClientError: the server could not be reached within the retry budget.
        """
        config = get_first_server_config_dict(self.global_config_dict, server_name)
        if _MODEL_SERVERS in self.global_config_dict[server_name] and not url_path.startswith("/ng-rollout/"):
            url_path = current_path_prefix() + url_path
        kwargs["headers"] = _bearer() | dict(kwargs.get("headers") or {})
        if url_path == SEED:
            kwargs["json"] = seeding_row(kwargs.get("json"))
        answer = await request(
            method=method, url=self._build_server_base_url(config) + url_path, _internal=True, **kwargs
        )
        if url_path == SEED:
            await take_tools(answer)
        return answer

    async def get(self, server_name: str, url_path: str, **kwargs: Any) -> ClientResponse:
        """GET from a server; see `request`."""
        return await self.request(server_name, url_path, "GET", **kwargs)

    async def post(self, server_name: str, url_path: str, **kwargs: Any) -> ClientResponse:
        """POST to a server; see `request`."""
        return await self.request(server_name, url_path, "POST", **kwargs)

    def poll_for_status(self, server_name: str) -> ServerStatus:
        """Whether the server answers. Blocks for five seconds at most."""
        config = cast("Any", get_first_server_config_dict(self.global_config_dict, server_name))
        try:
            _get(config.host, config.port, "/")
        except TimeoutError:
            return "timeout"
        except OSError:
            return "connection_error"
        except Exception:
            return "unknown_error"
        return "success"

    def _build_server_base_url(self, server_config_dict: Any) -> str:
        return _base_url(server_config_dict)


def get_server_url(server_name: str) -> str:
    """The root URL of an instance of this process's configuration."""
    return _base_url(get_first_server_config_dict(get_global_config_dict(), server_name))


def _setting(key: str) -> dict[str, Any]:
    """One setting of this process's configuration, as plain data; empty if the configuration lacks it."""
    config = settings()
    return plain_config(DictConfig({key: config[key]} if key in config else {}))


def _bearer() -> dict[str, str]:
    token = get_server_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _base_url(config: Any) -> str:
    return f"http://{config['host']}:{config['port']}"


def _get(host: str, port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection(host, port, timeout=_STATUS_TIMEOUT_S)
    try:
        connection.request("GET", path, headers=_bearer())
        return connection.getresponse().read()
    finally:
        connection.close()


class BaseServer(BaseModel):
    """A server and its settings."""

    config: BaseRunServerInstanceConfig

    @classmethod
    def load_config_from_global_config(cls) -> BaseRunServerInstanceConfig:
        """The settings of the instance that this process serves, typed by the class's `config`.

        Raises:
            ConfigError: the environment names no instance, or its settings don't fit.
        """
        name = os.environ.get(NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME)
        if not name:
            raise ConfigError(f"{NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME} does not name the instance to serve")
        return cls.load_config_of(name)

    @classmethod
    def load_config_of(cls, name: str) -> BaseRunServerInstanceConfig:
        """The settings of an instance, typed by the class's `config`.

        Raises:
            ConfigError: there is no such instance, or its settings don't fit.
        """
        block = plain_config(get_first_server_config_dict(get_global_config_dict(), name))
        kind = cast("type[BaseRunServerInstanceConfig]", cls.model_fields["config"].annotation)
        try:
            block.pop("share", None)  # a setting of the process; the class may forbid unknown settings
            config = kind.model_validate({**block, "name": name})
        except ValidationError as error:
            raise ConfigError(f"settings of {name}: {problems(error)}") from None
        remember_secret_settings(config)
        return config


class SimpleServer(BaseServer):
    """A FastAPI server. A subclass adds its routes in `setup_webserver`."""

    server_client: ServerClient

    def setup_webserver(self) -> FastAPI:
        """The app with its own routes. `served_app` adds the parts that every server has."""
        raise NotImplementedError

    def new_app(self) -> FastAPI:
        """An app that knows the rollout and the session of a request."""
        app = FastAPI()
        app.add_middleware(RolloutContextMiddleware)
        self.setup_session_middleware(app)
        return app

    def get_session_middleware_key(self) -> str:
        """The name of this server in cookies and errors: its class and instance."""
        return f"{type(self).__name__}___{self.config.name}"

    def setup_session_middleware(self, app: FastAPI) -> None:
        """Give every request a `request.session` with a session id."""
        label = self.get_session_middleware_key()
        app.add_middleware(SessionCookie, label=label, secret=cookie_secret())

    def setup_exception_middleware(self, app: FastAPI) -> None:
        """Answer an exception of a handler with 500, a readable text and the session cookie."""
        label = self.get_session_middleware_key()
        kinds: list[object] = [middleware.cls for middleware in app.user_middleware]
        inside = kinds.index(SessionCookie) + 1 if SessionCookie in kinds else len(kinds)
        app.user_middleware[inside:inside] = [
            Middleware(ErrorForms, label=label),
            Middleware(LimitRequests, limits=Limits.of(_setting(SETTING))),
            Middleware(InnerFailures),
        ]

    def setup_liveness(self, app: FastAPI) -> None:
        """Answer `GET /`."""
        app.get("/", include_in_schema=False)(_alive)

    def setup_docs(self, app: FastAPI) -> None:
        """Answer `GET /docs` with a page that loads nothing from other hosts, in place of FastAPI's page."""
        if app.docs_url == _DOCS:
            app.router.routes[:] = [one for one in app.routes if getattr(one, "path", "") != _DOCS]
            app.add_route(_DOCS, lambda _: docs_page(app.openapi()), include_in_schema=False)

    def served_app(self, *, token: Secret | None = None, profile: CpuProfile | None = None) -> FastAPI:
        """The app as it is served, with the parts that every server has.

        Args:
            token: a secret that callers must send; None for no secret.
        """
        app = self.setup_webserver()
        self.setup_liveness(app)
        self.setup_docs(app)
        if profile is not None:
            app.add_route("/stats", profile.stats, include_in_schema=False)
        self.setup_exception_middleware(app)
        self._log_invalid_bodies(app)
        if token is not None:
            app.add_middleware(BearerAuth, token=token)
        return app

    def _log_invalid_bodies(self, app: FastAPI) -> None:
        """Log the problem and the body of a request that is answered with 422."""
        if app.exception_handlers.get(RequestValidationError) is not request_validation_exception_handler:
            return
        label = self.get_session_middleware_key()

        async def logged(request: Request, error: Exception) -> Response:
            invalid = cast("RequestValidationError", error)
            body = repr(invalid.body)[:_LONGEST_BODY]
            log.warning("%s %s %s: 422 %s; body: %s", label, request.method, request.url.path, invalid, body)
            return await request_validation_exception_handler(request, invalid)

        app.add_exception_handler(RequestValidationError, logged)

    @classmethod
    def of_config(cls, config: BaseRunServerInstanceConfig) -> Self:
        """The server with these settings and a client for the other servers of the configuration."""
        head = ServerClient.load_head_server_config()
        client = ServerClient(head_server_config=head, global_config_dict=get_global_config_dict())
        return cls(config=config, server_client=client)

    @classmethod
    def __gym_app__(cls, name: str, tree: Mapping[str, Any], options: AppOptions) -> FastAPI:
        """The app of an instance in a process that also serves other instances."""
        return hosted_app(cls, name, tree, options)

    @classmethod
    def run_webserver(cls) -> FastAPI | None:
        """Serve the instance that the environment variables name.

        In one of several worker processes, which uvicorn runs, this returns the app instead.

        Raises:
            ConfigError: the environment variables don't describe an instance of this class.
        """
        config = cls.load_config_from_global_config()
        system = get_global_config_dict()
        token = Secret(text) if (text := settings().get(SERVER_TOKEN_KEY_NAME)) else None
        if token is None and not is_loopback(config.host):
            raise ConfigError(
                f"{config.name} is bound to {config.host}, where other machines can reach it: "
                f"set {SERVER_TOKEN_KEY_NAME}, a token that its callers must send"
            )
        workers = config.num_workers or 1
        if workers > 1 and not is_worker():
            run_workers(config.host, config.port, workers)
            return None
        profile = profile_of(system, f"{config.name}-{os.getpid()}" if is_worker() else config.name)
        app = cls.of_config(config).served_app(token=token, profile=profile)
        names = [config.host, *allowed_hosts(_setting(ALLOWED_HOSTS))]
        app.add_middleware(WebPageGuard, bound=config.host, names=names)
        if profile is not None:
            enter_around(app, profile_while_open(profile))
        if is_worker():
            return app
        run_app(app, config.host, config.port)
        return None


async def _alive() -> dict[str, str]:
    return {"status": "ok"}


log: Final = logging.getLogger(__name__)
