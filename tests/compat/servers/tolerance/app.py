from enum import StrEnum
from typing import Any, Literal

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseRunRequest,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.config_types import ModelServerRef, ResourcesServerRef
from pydantic import ConfigDict, Field, PrivateAttr, field_validator


class Scale(StrEnum):
    ABSOLUTE = "absolute"
    RELATIVE = "relative"


class ToleranceConfig(BaseResourcesServerConfig):
    tolerance: float = Field(default=0.1, ge=0)
    scale: Scale = Scale.ABSOLUTE
    on_failure: Literal["zero", "negative"] = "zero"
    helper: ResourcesServerRef | None = None
    judge: ModelServerRef | None = None
    units: dict[str, float] = Field(default_factory=dict)

    @field_validator("units")
    @classmethod
    def positive(cls, units: dict[str, float]) -> dict[str, float]:
        if any(factor <= 0 for factor in units.values()):
            raise ValueError("units must be positive")
        return units


class ToleranceRunRequest(BaseRunRequest):
    model_config = ConfigDict(extra="allow")

    expected: float
    unit: str = "m"


class ToleranceVerifyRequest(ToleranceRunRequest, BaseVerifyRequest):
    pass


class ToleranceVerifyResponse(ToleranceVerifyRequest, BaseVerifyResponse):
    measured: float | None = None


class ToleranceServer(SimpleResourcesServer):
    config: ToleranceConfig
    _units: dict[str, float] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any) -> None:
        self._units = {"m": 1.0, **self.config.units}

    async def verify(self, body: ToleranceVerifyRequest) -> ToleranceVerifyResponse:
        number, _, unit = body.response.output_text.strip().partition(" ")
        try:
            measured = float(number) * self._units[unit or body.unit]
        except (ValueError, KeyError):
            reward = 0.0 if self.config.on_failure == "zero" else -1.0
            return ToleranceVerifyResponse(**body.model_dump(), reward=reward)
        allowed = self.config.tolerance
        if self.config.scale is Scale.RELATIVE:
            allowed *= abs(body.expected)
        reward = float(abs(measured - body.expected) <= allowed)
        return ToleranceVerifyResponse(**body.model_dump(), reward=reward, measured=measured)


if __name__ == "__main__":
    ToleranceServer.run_webserver()
