from fastapi import FastAPI
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from pydantic import BaseModel

FORECASTS = {"Oslo": "snow", "Cairo": "sun"}


class WeatherConfig(BaseResourcesServerConfig):
    pass


class ForecastRequest(BaseModel):
    city: str
    days: int = 1


class ForecastResponse(BaseModel):
    city: str
    forecast: list[str]


class WeatherVerifyRequest(BaseVerifyRequest):
    expected: str


class WeatherVerifyResponse(BaseVerifyResponse):
    asked: bool


class WeatherServer(SimpleResourcesServer):
    config: WeatherConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/get_forecast")(self.get_forecast)
        return app

    async def get_forecast(self, body: ForecastRequest) -> ForecastResponse:
        """The weather of the coming days in a city."""
        return ForecastResponse(city=body.city, forecast=[FORECASTS.get(body.city, "unknown")] * body.days)

    async def verify(self, body: WeatherVerifyRequest) -> WeatherVerifyResponse:
        asked = any(
            item.type == "function_call" and item.name == "get_forecast" for item in body.response.output
        )
        right = body.expected in body.response.output_text
        return WeatherVerifyResponse(**body.model_dump(), reward=float(asked and right), asked=asked)


if __name__ == "__main__":
    WeatherServer.run_webserver()
