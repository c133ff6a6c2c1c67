"""Label Studio's protocol of ML backends: it asks a model for predictions while people label.

The addresses are below `/label-studio`, since two of them would otherwise be those of the service itself.
Label Studio's own documents describe them: `/health` and `/setup` when a project is connected, `/predict`
with tasks, and `/webhook` with events, which this service only acknowledges, since it trains nothing.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from limner.core.errors import LimnerError
from limner.core.picture import Picture
from limner.serving.image_fetching import ImageFetcher
from limner.serving.image_results import ImageResult, predict_picture
from limner.serving.labelling_interface import LabellingInterface, read_interface
from limner.serving.limits import Limits
from limner.serving.prediction_queue import PredictionQueue
from limner.serving.refusal import Refusal, as_refusal
from limner.serving.request_counts import RequestCounts
from limner.serving.served_models import ServedModel
from limner.serving.uploads import temporary_folder

PREFIX = "/label-studio"
"""First part of the addresses: `http://HOST:PORT/label-studio` is the URL to give to Label Studio."""

MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class LabellingBackend:
    """The addresses of the protocol for one model.

    Attributes:
        model: The model.
        fetcher: Where images come from; None refuses to predict.
        limits: Limits of requests.
        queue: The queue of predictions.
        counts: Counts of predicted images.
    """

    model: ServedModel
    fetcher: ImageFetcher | None
    limits: Limits
    queue: PredictionQueue
    counts: RequestCounts

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route(f"{PREFIX}/health", self.health),
            Route(f"{PREFIX}/setup", self.setup, methods=["POST"]),
            Route(f"{PREFIX}/predict", self.predict, methods=["POST"]),
            Route(f"{PREFIX}/webhook", self.webhook, methods=["POST"]),
        ]

    async def health(self, request: Request) -> Response:
        """Answer that the backend runs."""
        return JSONResponse({"status": "UP", "model_class": self.model.name})

    async def setup(self, request: Request) -> Response:
        """Check that the project has labels for what the model predicts."""
        self._fetcher()
        self._refuse_volumes()
        content = await self._content(request)
        task, labels = self.model.predictor.task, self.model.predictor.labels
        unused = read_interface(_text(content, "schema")).unused_classes(task, labels)
        return JSONResponse({"model_version": self._version, "classes_without_label": unused})

    async def predict(self, request: Request) -> Response:
        """Predict the images of tasks; if one cannot be predicted, the answer is an error that names it."""
        self._refuse_volumes()
        fetcher, content = self._fetcher(), await self._content(request)
        tasks = content.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(one, dict) for one in tasks):
            raise Refusal(
                400, "The request has no list of tasks", expected="`tasks`, as Label Studio sends them"
            )
        interface = read_interface(_text(content, "label_config"))
        interface.unused_classes(self.model.predictor.task, self.model.predictor.labels)
        with self.queue.place():
            found = await asyncio.gather(
                *(self._one(request, fetcher, interface, task) for task in tasks), return_exceptions=True
            )
        _raise_failures(tasks, found)
        return JSONResponse({"results": found, "model_version": self._version})

    async def webhook(self, request: Request) -> Response:
        """Acknowledge an event of Label Studio; nothing is trained."""
        content = await self._content(request)
        return JSONResponse({"status": "ignored", "action": str(content.get("action", ""))})

    @property
    def _version(self) -> str:
        return f"{self.model.name} {self.model.predictor.weights_hash[:12]}"

    def _fetcher(self) -> ImageFetcher:
        if self.fetcher is None:
            raise Refusal(
                403,
                "The server fetches no images",
                found="a server that was started without --label-studio",
                expected="the address of Label Studio",
                fix="Start it with --label-studio http://localhost:8080.",
            )
        return self.fetcher

    def _refuse_volumes(self) -> None:
        if self.model.predictor.plan.input.takes_volumes:
            raise Refusal(
                400,
                "Label Studio shows images, and this model predicts volumes",
                found=f"the model {self.model.name}",
                expected="a model of images",
                fix="Start the server with such a model first.",
            )

    async def _content(self, request: Request) -> dict[str, Any]:
        """Return the JSON object of a request."""
        try:
            found = await asyncio.wait_for(request.json(), self.limits.timeout)
        except ValueError:
            found = None
        except (asyncio.TimeoutError, TimeoutError):
            raise Refusal(408, "The request took too long to arrive") from None
        if not isinstance(found, dict):
            raise Refusal(400, "The request is no JSON object", expected="a request of Label Studio")
        return found

    async def _one(
        self, request: Request, fetcher: ImageFetcher, interface: LabellingInterface, task: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the prediction of one task."""
        data = task.get("data")
        place = data.get(interface.image_key) if isinstance(data, dict) else None
        if not isinstance(place, str):
            raise Refusal(
                422,
                "The task has no image",
                found=", ".join(data) if isinstance(data, dict) else "no `data`",
                expected=f"the address of the image as `{interface.image_key}`",
            )
        model = self.model
        with temporary_folder() as folder:
            upload = await self.queue.help(lambda: fetcher.fetch(place, Path(folder)))

            def read() -> Picture:
                model.refuse_changed()
                return upload.read(self.limits, reduce=model.predictor.reduce)

            try:
                result = await self.queue.predict(
                    read,
                    lambda picture: predict_picture(model, picture, upload.name, scored=True),
                    is_gone=request.is_disconnected,
                )
            except LimnerError as error:
                raise as_refusal(error, names={str(upload.path): upload.name}) from error
        self.counts.add_image(model.name, result.seconds)
        return await self.queue.help(lambda: self._answer(interface, result))

    def _answer(self, interface: LabellingInterface, result: ImageResult) -> dict[str, Any]:
        rows = interface.results(result, self.model.predictor.task, self.model.predictor.labels)
        scores = [row["score"] for row in rows if "score" in row]
        mean = {"score": round(sum(scores) / len(scores), 5)} if scores else {}
        return {"result": rows, "model_version": self._version, **mean}


def _text(content: dict[str, Any], key: str) -> str:
    text = content.get(key)
    if not isinstance(text, str) or not text.strip():
        raise Refusal(400, f"The request has no `{key}`", expected="the labelling interface of the project")
    return text


def _raise_failures(tasks: list[dict[str, Any]], found: list[Any]) -> None:
    """Raise one error for all tasks that failed: Label Studio would store an empty result as a prediction."""
    failed = [(task, one) for task, one in zip(tasks, found, strict=True) if isinstance(one, BaseException)]
    if not failed:
        return
    for _, error in failed:
        if not isinstance(error, Refusal):
            raise error
    named = [f"task {task.get('id', '?')}: {error}" for task, error in failed[:MOST_NAMED]]
    more = [f"{len(failed) - MOST_NAMED} more"] if len(failed) > MOST_NAMED else []
    first = cast("Refusal", failed[0][1])
    raise Refusal(
        first.status,
        "; ".join([*named, *more]),
        found=first.content["found"],
        expected=first.content["expected"],
        fix=first.content["fix"],
        headers=first.headers,
    )
