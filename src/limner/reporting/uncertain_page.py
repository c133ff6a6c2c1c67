"""The page of the images to label next, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.reporting.document import Part, render_document
from limner.reporting.embedded_pictures import Embedded, embed
from limner.reporting.markup import Html, tag


@dataclass(frozen=True)
class UncertainRow:
    """One image of the page.

    Attributes:
        name: Its name.
        uncertainty: In [0, 1].
        picture: A picture file: the prediction drawn on the image, or the image.
    """

    name: str
    uncertainty: float
    picture: Path


def render_uncertain(rows: Sequence[UncertainRow], *, num_images: int, words: str) -> str:
    """Return the page as text.

    Args:
        rows: The chosen images in their order.
        num_images: Number of images that were predicted.
        words: What was used to choose them.
    """
    pictures = embed([row.picture for row in rows]) if rows else {}
    cards = [_card(number, row, pictures.get(row.picture)) for number, row in enumerate(rows, start=1)]
    content = tag("div", tag("p", f"{words}.", class_="muted"), tag("div", cards, class_="cards"))
    return render_document(
        title="Images to label next",
        heading="Images to label next",
        subtitle=f"{len(rows)} of {num_images} images",
        parts=[Part("images", "In this order", content)],
        footer="uncertain.csv has the numbers of all images, and uncertain.txt the paths of these.",
    )


def _card(number: int, row: UncertainRow, picture: Embedded | None) -> Html:
    image: Html = (
        tag("p", "The picture cannot be read.", class_="empty")
        if picture is None
        else tag(
            "img",
            src=picture.uri,
            width=picture.width,
            height=picture.height,
            alt=f"Picture of {row.name}",
        )
    )
    chips = (
        tag("b", f"{number}. {row.uncertainty:.3f}"),
        tag("span", row.name, title=row.name, class_="name"),
    )
    return tag("figure", image, tag("figcaption", chips))
