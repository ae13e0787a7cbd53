"""Builds the apps of the instances of a configuration and links them with one another."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from starlette.applications import Starlette

from nemo_gym.agents.base import Agent
from nemo_gym.agents.registry import find_agent
from nemo_gym.capture.stores import FileCapture
from nemo_gym.config.implementations import environment_of
from nemo_gym.config.instances import Instance, Reference
from nemo_gym.config.server_kinds import EXPOSE, asked_reference
from nemo_gym.environments.base import Environment
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.environments.openapi_description import Description, fetch_description
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.environments.remote_placeholder import RemotePlaceholder
from nemo_gym.environments.resources import AskedModel, ModelMissing, Resources, check_supply
from nemo_gym.models.asked_model import CountedModel
from nemo_gym.models.base import Model
from nemo_gym.models.baselines import OracleModel
from nemo_gym.models.responses import ResponsesModel
from nemo_gym.runs.asked_specs import asked_spec
from nemo_gym.runs.component_specs import AgentSpec, ModelSpec
from nemo_gym.sandbox.pool import named_pool
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.engine_routes import engine_routes
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.environment_tools import OfferedEnvironment, OfferedTools
from nemo_gym.serving.in_process import AppConnections, AppEnvironment
from nemo_gym.serving.instance_specs import asked_sources
from nemo_gym.serving.loopback_model import LoopbackModel
from nemo_gym.serving.loopback_tools import open_tools
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.sockets import http_url, reachable
from nemo_gym.wire.errors import GymError, ModelDenied, ModelRejected, UsageError
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

MODEL_SERVER: Final = "model_server"
ORACLE: Final = "oracle"
RESOURCES_SERVER: Final = "resources_server"


class Components:
    """Builds the apps of the instances that this process serves.

    Instances of this process are linked directly, without HTTP; others are used at their URLs.

    Args:
        instances: all instances of the configuration.
        here: names of the instances that this process serves.
    """

    def __init__(self, instances: Mapping[str, Instance], here: frozenset[str], options: AppOptions) -> None:
        self._instances = instances
        self._here = here
        self._options = options
        self.program_apps: dict[str, Starlette] = {}
        """Apps of users' programs in this process, by the name of the instance."""
        self._environments: dict[str, LocalEnvironment] = {}
        self._mcp_tools: dict[str, OfferedTools | None] = {}
        self._models: dict[str, Model] = {}
        self._sandboxes = named_pool(options.sandbox_provider, options.max_sandboxes)
        self._exit_stack = AsyncExitStack()

    async def app(self, name: str) -> Starlette:
        """The app of an instance.

        Raises:
            UsageError: there is no such implementation, or its settings are wrong.
            GymError: a server that it uses can't be reached.
        """
        instance = self._instances[name]
        match instance.kind:
            case "resources_servers":
                link, mcp_tools = self._environment(name), self._tools_over_mcp(name)
                return environment_app(link, name, self._options, mcp_tools=mcp_tools)
            case "responses_api_models":
                model = self._model(name)
                return model_app(model, name=name, options=self._options, more=engine_routes(model))
            case "responses_api_agents":
                return await self._agent_app(instance)

    async def unreachable(self) -> list[str]:
        """The problems with the endpoints of the models of this process, a line each."""
        models: list[Model | Resources] = [
            model for name, model in self._models.items() if name in self._here
        ]
        models += [link.environment.resources for link in self._environments.values()]
        results = await asyncio.gather(*(model.check() for model in models), return_exceptions=True)
        problems = (str(result) for result in results if isinstance(result, GymError))
        return list(dict.fromkeys(problems))

    async def aclose(self) -> None:
        """Close every connection and back end."""
        await self._exit_stack.aclose()

    def _environment(self, name: str) -> LocalEnvironment:
        if name not in self._environments:
            kind, settings = environment_of(self._instances[name])
            environment = build_environment(kind, settings)
            resources = self._resources(environment, self._instances[name])
            link = self._environments[name] = LocalEnvironment(environment, resources=resources)
            self._exit_stack.push_async_callback(link.aclose)
        return self._environments[name]

    def _resources(self, environment: Environment, instance: Instance) -> Resources:
        """The models and sandboxes of an environment."""
        sources = asked_sources(type(environment), instance)
        try:
            check_supply(environment.name(), environment.asks, environment.needed_models(), sources)
        except ModelMissing as error:
            place = f"{instance.name}.resources_servers.{instance.implementation}"
            raise UsageError(
                f"{error}: set {place}.{error.name} to {{type: chat, url: ..., model: ...}}, or "
                f"{place}.{asked_reference(error.name)} to the instance of a model"
            ) from None
        models: dict[str, AskedModel] = {}
        for name, source in sources.items():
            is_own = not isinstance(source, Reference)
            model = asked_spec(name, source).build(None) if is_own else self._model_at(source)
            models[name] = CountedModel(name, model, recorder=self._options.capture, owned=is_own)
        return Resources(models=models, sandboxes=self._sandboxes)

    def _tools_over_mcp(self, name: str) -> OfferedTools | None:
        if name not in self._mcp_tools:
            link = self._environment(name)
            default = link.environment.expose_tools_over_mcp
            exposed = self._instances[name].settings.get(EXPOSE, default)
            secret = self._options.cookie_secret
            self._mcp_tools[name] = OfferedTools(link, name, secret) if exposed else None
        return self._mcp_tools[name]

    def _model(self, name: str) -> Model:
        if name not in self._models:
            instance = self._instances[name]
            oracle = instance.implementation == ORACLE
            model = OutsideOracle() if oracle else self._shared_engine(instance) or model_of(instance)
            self._models[name] = self._close_later(model)
        return self._models[name]

    def _shared_engine(self, instance: Instance) -> Model | None:
        """The model of an instance that uses the engine of another instance; None for any other."""
        reference = instance.references.get(MODEL_SERVER)
        if reference is None:
            return None
        settings = {key: value for key, value in instance.settings.items() if key != MODEL_SERVER}
        there = {"base_url": self._url(reference.name), "api_key": self._token, "model": instance.name}
        return ModelSpec.of_instance(instance.implementation, settings | there).build(None)

    async def _agent_app(self, instance: Instance) -> Starlette:
        references = instance.references
        resources_server = references.get(RESOURCES_SERVER)
        environment = await self._link(resources_server)
        spec = AgentSpec(instance.implementation, self._arguments(instance))
        agent = spec.resolve(
            resources_server.name if resources_server else instance.name, steps=environment.steps
        ).build()
        self._exit_stack.push_async_callback(agent.aclose)
        if agent.needs_served_model and isinstance(environment, LocalEnvironment):
            environment = open_tools(environment)
            self._exit_stack.push_async_callback(environment.aclose)
        settings = instance.settings
        return agent_app(
            agent,
            environment,
            self._model_of(instance, agent),
            instance.name,
            self._options,
            skip_verification=bool(settings.get("skip_verification", False)),
            skip_verification_reward=float(settings.get("skip_verification_reward", 0.0)),
            token_capture=settings.get("token_id_capture") is True,
            model_ref=references[MODEL_SERVER].name if MODEL_SERVER in references else "",
        )

    async def _link(self, reference: Reference | None) -> EnvironmentLink:
        if reference is None:
            return LocalEnvironment(RemotePlaceholder())
        if reference.name in self._here:
            link, mcp_tools = self._environment(reference.name), self._tools_over_mcp(reference.name)
            if mcp_tools is None:
                return link
            return OfferedEnvironment(link, mcp_tools, self._url(reference.name), bearer=self._token)
        url, token = self._url(reference.name), self._token
        if app := self.program_apps.get(reference.name):
            steps = {"/reset", "/step"} <= {getattr(route, "path", "") for route in app.routes}
            return AppEnvironment(AppConnections(app, token=token), Description(steps=steps))
        remote = RemoteEnvironment(url, about=await fetch_description(url, token=token), token=token)
        self._exit_stack.push_async_callback(remote.aclose)
        return remote

    def _model_of(self, instance: Instance, agent: Agent) -> Model:
        reference = instance.references.get(MODEL_SERVER)
        model = self._policy(instance, reference) if reference else MissingModel()
        if agent.needs_served_model:
            capture = self._options.capture
            loopback = LoopbackModel(
                model,
                store=capture if isinstance(capture, FileCapture) else None,
                limits=self._options.limits,
            )
            self._exit_stack.push_async_callback(loopback.aclose)
            return loopback
        return model

    def _policy(self, agent: Instance, reference: Reference) -> Model:
        """The model of an agent. An oracle looks into the agent's own environment."""
        if self._instances[reference.name].implementation != ORACLE:
            return self._model_at(reference)
        environment = agent.references.get(RESOURCES_SERVER)
        if environment is None or environment.name not in self._here:
            raise UsageError(f"{agent.name}: the oracle needs the agent's environment in the same process")
        return OracleModel(self._environment(environment.name))

    def _model_at(self, reference: Reference) -> Model:
        if reference.name in self._here:
            return self._model(reference.name)
        if reference.name not in self._models:
            url = self._url(reference.name)
            self._models[reference.name] = self._close_later(
                ResponsesModel(f"{url}/v1", reference.name, api_key=self._token or None, direct=True)
            )
        return self._models[reference.name]

    def _arguments(self, instance: Instance) -> dict[str, Any]:
        """The settings that the agent's class takes; a reference to a model becomes the model."""
        parameters = inspect.signature(find_agent(instance.implementation)).parameters
        references = instance.references
        return {
            key: self._model_at(references[key]) if key in references else value
            for key, value in instance.settings.items()
            if key in parameters and value is not None
        }

    def _url(self, name: str) -> str:
        instance = self._instances[name]
        return http_url(reachable(instance.host), instance.port)

    @property
    def _token(self) -> str:
        return self._options.token.reveal() if self._options.token else ""

    def _close_later(self, model: Model) -> Model:
        self._exit_stack.push_async_callback(model.aclose)
        return model


def model_of(instance: Instance) -> Model:
    """The back end of a model instance.

    Raises:
        UsageError: there is no such type, or its settings are wrong.
    """
    return ModelSpec.of_instance(instance.implementation, instance.settings).build(None)


class MissingModel(Model):
    """The model of an agent without a `model_server`, which uses none or has its own."""

    async def responses(self, params: RequestParams) -> Response:
        raise ModelDenied("this agent has no model_server in the configuration")


class OutsideOracle(Model):
    """The oracle at its own address, where no rollout is. Each agent has an oracle of its environment."""

    name = ORACLE

    async def responses(self, params: RequestParams) -> Response:
        raise ModelRejected("the oracle answers only the agents of the environments in its process")
