"""The HTTP service: its addresses, and what each answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from limner import __version__
from limner.core.errors import LimnerError, UnknownNameError
from limner.core.picture import Picture
from limner.serving.answer_kinds import AnswerKind, refuse_unknown_query, wanted_answer
from limner.serving.corrections import Corrections
from limner.serving.guards import AddHeaders, LimitBody, RefuseStrangers
from limner.serving.image_fetching import ImageFetcher
from limner.serving.image_results import ImageResult, display_png, file_of, json_of, predict_picture
from limner.serving.labelling_backend import PREFIX, LabellingBackend
from limner.serving.limits import Limits
from limner.serving.openapi import openapi
from limner.serving.prediction_queue import PredictionQueue
from limner.serving.refusal import (
    Refusal,
    answer_failure,
    answer_gone,
    answer_http_error,
    answer_limner_error,
    answer_refusal,
    as_refusal,
)
from limner.serving.request_counts import CONTENT_TYPE, CountRequests, RequestCounts
from limner.serving.served_models import ServedModel, ServedModels
from limner.serving.shown_data import ShownData
from limner.serving.unread_bodies import DiscardRest
from limner.serving.uploads import Upload, received

R = TypeVar("R")

MOST_LISTED = 500
"""Maximum number of images in one answer of `/data`."""

PAGE = "/page/"
"""Address of the files of the page."""

MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, eq=False)
class Service:
    """The service of some models.

    Attributes:
        models: The models.
        limits: Limits of requests.
        token: Token that requests need; None for none, which is for this machine alone.
        corrections: Where corrected predictions are kept; None keeps none.
        origins: Other origins whose pages may use the service.
        data: Images that the page shows; None shows none.
        fetcher: Where the images of Label Studio's tasks come from; None serves no Label Studio.
        hosts: Other names of the service, besides those of this machine.
    """

    models: ServedModels
    limits: Limits = Limits()
    token: str | None = None
    corrections: Corrections | None = None
    origins: tuple[str, ...] = ()
    data: ShownData | None = None
    fetcher: ImageFetcher | None = None
    hosts: tuple[str, ...] = ()
    counts: RequestCounts = field(default_factory=RequestCounts)

    @cached_property
    def queue(self) -> PredictionQueue:
        """The queue of predictions."""
        return PredictionQueue(self.limits)

    @cached_property
    def labelling(self) -> LabellingBackend:
        """The addresses for Label Studio, of the first model."""
        model = self.models.find(None)
        return LabellingBackend(model, self.fetcher, self.limits, self.queue, self.counts)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/predict", self.predict, methods=["POST"]),
            Route("/corrections", self.correct, methods=["POST"]),
            Route("/models", self.list_models),
            Route("/data", self.list_data),
            Route("/data/{number}", self.show_data),
            Route("/data/{number}/file", self.send_data),
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.describe),
            Route("/", self.page),
            Route(f"{PAGE}{{name}}", self.page_file),
            *self.labelling.routes(),
        ]
        paths = {route.path for route in routes}
        page = [f"{PAGE}{name}" for name in _page_files()]
        public = ("/", "/health", "/openapi.json", f"{PREFIX}/health", *page)

        def known(path: str) -> str:
            if path.startswith("/data/"):
                return "/data/..."
            return path if path in paths else f"{PAGE}..." if path in page else "other"

        return Starlette(
            routes=routes,
            middleware=[
                Middleware(DiscardRest),
                Middleware(CountRequests, counts=self.counts, known=known),
                Middleware(AddHeaders),
                *_cors(self.origins),
                Middleware(
                    RefuseStrangers, token=self.token, public=public, origins=self.origins, hosts=self.hosts
                ),
                Middleware(LimitBody, limits=self.limits),
            ],
            exception_handlers={
                Refusal: answer_refusal,
                ClientDisconnect: answer_gone,
                LimnerError: answer_limner_error,
                HTTPException: answer_http_error,
                Exception: answer_failure,
            },
            lifespan=self._lifespan,
        )

    async def predict(self, request: Request) -> Response:
        """Predict the images of a request."""
        kind, model = wanted_answer(request), self._model(request)
        flags = {name: _flag(request, name) for name in ("polygons", "volume")}
        with self.queue.place():
            async with received(request, self.limits, "images") as fields:
                uploads = fields["images"]
                if kind is AnswerKind.JSON:
                    return await self._json(request, model, uploads, flags)
                if len(uploads) > 1:
                    raise Refusal(
                        406,
                        "Files are returned for a single image only",
                        found=f"{len(uploads)} images, Accept: {kind.media_type}",
                        expected="one image, or Accept: application/json",
                    )
                content = await self._file(request, model, uploads[0], kind)
                return Response(content, media_type=kind.media_type)

    async def correct(self, request: Request) -> Response:
        """Keep a corrected prediction."""
        refuse_unknown_query(request, ("model", "replace"))
        model, replace, kept = self._model(request), _flag(request, "replace"), self.corrections
        if kept is None:
            raise Refusal(
                403,
                "The server keeps no corrections",
                found="a server that was started without --keep",
                expected="a folder for corrections",
                fix="Start it with --keep FOLDER.",
            )
        with self.queue.place():
            async with received(request, self.limits, "image", "labels") as fields:
                image, labels = fields["image"][0], fields["labels"][0]

                def save() -> dict[str, Any]:
                    for upload in (image, labels):
                        upload.refuse_large(self.limits)
                    return kept.save(model, image, labels, replace=replace)

                return JSONResponse(await self._help(save, image, labels), 201)

    async def list_models(self, request: Request) -> Response:
        """List the models, the limits, and whether corrections are kept."""
        models = [model.to_json() for model in self.models]
        keeps = self.corrections is not None
        shows = self.data is not None
        content = {"models": models, "limits": asdict(self.limits), "keeps": keeps, "shows": shows}
        return JSONResponse(content)

    async def list_data(self, request: Request) -> Response:
        """List the images that the server shows."""
        refuse_unknown_query(request, ("start", "count"))
        data = self._data()
        start, count = (_whole(request, name, default) for name, default in (("start", 0), ("count", 60)))
        return JSONResponse(data.to_json(start, min(count, MOST_LISTED)))

    async def show_data(self, request: Request) -> Response:
        """Draw an image with its labels."""
        refuse_unknown_query(request, ("large",))
        data, number, is_large = self._data(), self._shown(request), _flag(request, "large")
        content = await self._help(lambda: data.picture(number, is_large=is_large), names=data.names(number))
        return Response(content, media_type=AnswerKind.IMAGE.media_type)

    async def send_data(self, request: Request) -> Response:
        """Send the file of an image."""
        refuse_unknown_query(request, ())
        data, number = self._data(), self._shown(request)
        content = await self._help(lambda: data.file(number), names=data.names(number))
        return Response(content, media_type="application/octet-stream")

    async def health(self, request: Request) -> Response:
        """Answer that the server runs."""
        return JSONResponse({"status": "ok", "limner": __version__})

    async def metrics(self, request: Request) -> Response:
        """Return counts and times as Prometheus reads them."""
        gauges = {
            "limner_accepted_requests": ("Requests in the queue now.", self.queue.num_accepted),
            "limner_queue_limit": ("Requests that the queue accepts.", self.limits.queue),
        }
        return PlainTextResponse(self.counts.text(gauges), headers={"Content-Type": CONTENT_TYPE})

    async def describe(self, request: Request) -> Response:
        """Return the OpenAPI description."""
        return JSONResponse(openapi())

    async def page(self, request: Request) -> Response:
        """Return the web page."""
        return _page_file("index.html")

    async def page_file(self, request: Request) -> Response:
        """Return a file of the web page."""
        return _page_file(request.path_params["name"])

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(self.queue.close)

    def _data(self) -> ShownData:
        if self.data is None:
            raise Refusal(
                404,
                "The server shows no images",
                found="a server that was started without --data",
                expected="a dataset or a run",
                fix="Start it with --data FOLDER.",
            )
        return self.data

    def _shown(self, request: Request) -> int:
        """Return the number of an image that is shown."""
        text, total = request.path_params["number"], len(self._data().images)
        if not _is_whole(text) or int(text) >= total:
            raise Refusal(404, "There is no such image", found=text, expected=f"0 to {total - 1}")
        return int(text)

    def _model(self, request: Request) -> ServedModel:
        try:
            return self.models.find(request.query_params.get("model"))
        except UnknownNameError as error:
            raise Refusal(404, str(error), fix="GET /models lists the models.") from None

    async def _json(
        self, request: Request, model: ServedModel, uploads: Collection[Upload], flags: Mapping[str, bool]
    ) -> Response:
        """Answer with JSON; of several images, each may fail alone."""

        async def one(upload: Upload) -> dict[str, Any]:
            result = await self._predicted(request, model, upload)
            return await self._help(lambda: json_of(result, model, **flags), upload)

        async def one_of_several(upload: Upload) -> dict[str, Any]:
            try:
                return await one(upload)
            except Refusal as refusal:
                return {"file": upload.name, **refusal.content}

        each = one if len(uploads) == 1 else one_of_several
        images = await asyncio.gather(*(each(upload) for upload in uploads))
        return JSONResponse({"model": model.name, "images": images})

    async def _file(self, request: Request, model: ServedModel, upload: Upload, kind: AnswerKind) -> bytes:
        if kind is AnswerKind.IMAGE:
            return await self._help(lambda: display_png(upload.read(self.limits)), upload)
        result = await self._predicted(request, model, upload)
        return await self._help(lambda: file_of(result, model, kind), upload)

    async def _predicted(self, request: Request, model: ServedModel, upload: Upload) -> ImageResult:
        def read() -> Picture:
            model.refuse_changed()
            return upload.read(self.limits, reduce=model.predictor.reduce)

        try:
            result = await self.queue.predict(
                read,
                lambda picture: predict_picture(model, picture, upload.name),
                is_gone=request.is_disconnected,
            )
        except LimnerError as error:
            raise as_refusal(error, names={str(upload.path): upload.name}) from error
        self.counts.add_image(model.name, result.seconds)
        return result

    async def _help(
        self, work: Callable[[], R], *uploads: Upload, names: Mapping[str, str] | None = None
    ) -> R:
        """Run a function in another thread; errors name files as the request does, or as in `names`."""
        try:
            return await self.queue.help(work)
        except LimnerError as error:
            sent = {str(one.path): one.name for one in uploads}
            raise as_refusal(error, names=sent | dict(names or {})) from error


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false"):
        raise Refusal(
            400, f"The option {name!r} is true or false", found=f"?{name}={value}", expected="true or false"
        )
    return value == "true"


def _is_whole(text: str) -> bool:
    """Return whether a text is a number from 0 to 999999999."""
    return text.isascii() and text.isdecimal() and len(text) <= 9


def _whole(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, str(default))
    if not _is_whole(value):
        raise Refusal(
            400,
            f"The option {name!r} is a whole number",
            found=f"?{name}={value}",
            expected="0 to 999999999",
        )
    return int(value)


def _cors(origins: tuple[str, ...]) -> list[Middleware]:
    """Return the middleware that lets pages of other origins use the service."""
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    ]


def _page_files() -> list[str]:
    return sorted(item.name for item in files("limner.serving").joinpath("page").iterdir() if item.is_file())


def _page_file(name: str) -> Response:
    """Return a file of the page; a name that is none of them is never looked for on disk."""
    if name not in _page_files():
        raise HTTPException(404, "There is no such file")
    content = files("limner.serving").joinpath("page").joinpath(name).read_bytes()
    return Response(content, media_type=MEDIA_TYPES[name[name.rindex(".") :]])
