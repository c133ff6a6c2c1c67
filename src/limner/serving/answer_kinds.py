"""Which answer a request asks for, by its ``Accept`` header and the option ``picture``."""

from enum import Enum

from starlette.requests import Request

from limner.core.errors import did_you_mean
from limner.serving.refusal import Refusal

JSON, PNG, NIFTI = "application/json", "image/png", "application/x-nifti"
"""Media types of answers; NIfTI is packed with gzip."""


class AnswerKind(Enum):
    """What `/predict` answers; the value is its media type, and for pictures the option ``picture``."""

    JSON = (JSON, "")
    LABELS = (PNG, "labels")
    OVERLAY = (PNG, "overlay")
    IMAGE = (PNG, "image")
    VOLUME = (NIFTI, "")

    @property
    def media_type(self) -> str:
        """The media type of the answer."""
        return self.value[0]


PICTURES = {kind.value[1]: kind for kind in AnswerKind if kind.media_type == PNG}
"""Option ``picture`` -> answer."""

OPTIONS = ("model", "picture", "polygons", "volume")
"""Options of `/predict`, in the query."""


def wanted_answer(request: Request) -> AnswerKind:
    """Return the answer that a request asks for; JSON if it accepts anything.

    Raises:
        Refusal: The server has none of the accepted types, or there is no such picture.
    """
    refuse_unknown_query(request, OPTIONS)
    picture = request.query_params.get("picture", "labels")
    if picture not in PICTURES:
        raise Refusal(
            400,
            f"There is no picture {picture!r}{did_you_mean(picture, PICTURES)}",
            found=f"?picture={picture}",
            expected=", ".join(PICTURES),
        )
    media_type = _best_type(request.headers.get("accept") or "*/*")
    if media_type is None:
        raise Refusal(
            406,
            "The server has no answer of the accepted types",
            found=f"Accept: {request.headers.get('accept')}",
            expected=f"{JSON}, {PNG} or {NIFTI}",
            fix=f"Send Accept: {JSON}",
        )
    if media_type == PNG:
        return PICTURES[picture]
    return next(kind for kind in AnswerKind if kind.media_type == media_type)


def refuse_unknown_query(request: Request, known: tuple[str, ...]) -> None:
    """Refuse options that an address does not have.

    Raises:
        Refusal: There is one; the message suggests the nearest name.
    """
    for name in request.query_params:
        if name not in known:
            raise Refusal(
                400,
                f"There is no option {name!r}{did_you_mean(name, known)}",
                found=f"?{name}=",
                expected=", ".join(known) or "no option",
            )


def _best_type(accept: str) -> str | None:
    """Return the media type with the highest weight; among equals JSON, then PNG."""
    weights = {offer: _weight(offer, accept) for offer in (JSON, PNG, NIFTI)}
    best = max(weights, key=lambda offer: weights[offer])
    return best if weights[best] > 0 else None


def _weight(offer: str, accept: str) -> float:
    """Return the weight of a media type in an ``Accept`` header, by its most specific range."""
    found = (-1, 0.0)
    for part in accept.split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        ranges = (offer, f"{offer.split('/')[0]}/*", "*/*")
        if name in ranges:
            found = max(found, (-ranges.index(name) + 2, _quality(parameters)))
    return found[1]


def _quality(parameters: list[str]) -> float:
    try:
        return next((float(p.removeprefix("q=")) for p in parameters if p.startswith("q=")), 1.0)
    except ValueError:
        return 0.0
