"""What the labels of a format are called in messages, so that each finding speaks the words of its format."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """The words of one format.

    Attributes:
        label: What one labelled image has: ``a mask``, ``labels``, ``a class`` or ``words``.
        labels: What several have.
        holder: What shows a class: ``mask``, or ``image`` if there are no masks on disk.
        listing: The file that lists images or classes.
        entry: What stands for one image in that file.
        category: What defines a class in that file.
    """

    label: str = "labels"
    labels: str = "labels"
    holder: str = "image"
    listing: str = "label file"
    entry: str = "an entry in the label file"
    category: str = "a class that the label file defines"

    @property
    def hold(self) -> str:
        """What holders do with a class, in the plural: masks hold, images show it."""
        return "hold" if self.holder == "mask" else "show"

    def fill(self, text: str) -> str:
        """Return a text of `formats/format_codes.py` with the words of the format."""
        return text.format(listing=self.listing, entry=self.entry, category=self.category)


MASKS = Terms("a mask", "masks", "mask", "list", "a line of the list")
DRAWINGS = Terms()
WORDS = Terms("words", "words")
IMAGE_CLASSES = Terms("a class", "classes", listing="list", entry="a line of the list")
COCO = Terms(listing="JSON", entry="an entry under `images`", category="an id that `categories` lists")
