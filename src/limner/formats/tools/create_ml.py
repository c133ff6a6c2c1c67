"""Create ML's JSON: boxes by their centre and size in pixels, as Apple's tools and others write it."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from limner.formats.drawn import Drawn, Shape
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems
from limner.formats.shapes.listed_images import Drawing, Listed, ListedImages
from limner.formats.shapes.valid_shapes import valid_shapes
from limner.storage.json_files import JsonObject, read_json, unreadable
from limner.storage.usable_numbers import numbers_in

WHAT = "The Create ML annotations"
EXPECTED = "a list of `image` and `annotations`, each with `label` and `coordinates`"
_IMAGE_KEYS = ("image", "imagefilename", "filename")


class CreateMl(ListedImages):
    """Boxes in Create ML's JSON, for detection."""

    name = "create-ml"
    title = "Create ML's JSON of boxes (annotations with label and coordinates), with the images beside it"

    @classmethod
    def is_one(cls, both: bytes) -> bool:
        """Tell by the list and its keys."""
        keys = (b'"annotations"', b'"coordinates"', b'"label"')
        return both.lstrip()[:1] == b"[" and all(key in both for key in keys) and b'"geometry"' not in both

    def listed(self, path: PurePosixPath, tree: FileTree) -> Iterator[Listed]:
        """Yield the images of one file.

        Raises:
            DataError: It is no JSON, or no list of images.
        """
        whole = JsonObject({"images": read_json(self.root / path, what=WHAT, expected=EXPECTED)})
        images = whole.children("images")
        if not whole.has_list("images") or not all(map(_name, images)):
            raise unreadable(self.root / path, what=WHAT, found="no list of images", expected=EXPECTED)
        for image in images:
            yield Listed([_name(image)], f"{path}, {_name(image)}", image)

    def draw(self, listed: Listed, image: PurePosixPath, problems: Problems) -> Drawing:
        """Return the boxes of an image; the file states no size."""
        drawn = []
        for position, row in enumerate(listed.item.children("annotations")):
            name = f"annotation {position}"
            report = problems.at(f"{listed.where}, {name}", file=str(image))
            place = row.child("coordinates")
            numbers = numbers_in([place.value(key) for key in ("x", "y", "width", "height")])
            if numbers is None or not row.text("label"):
                report("annotation-malformed", "no `label`, or no `coordinates` x, y, width and height")
                continue
            x, y, width, height = numbers
            box = Shape("box", [x - width / 2, y - height / 2, x + width / 2, y + height / 2])
            if shapes := valid_shapes([box], None, report):
                drawn.append(Drawn(self.number_of(row.text("label")), shapes, name=name))
        return drawn, None


def _name(image: JsonObject) -> str:
    return next((name for key in _IMAGE_KEYS if (name := image.text(key))), "").replace("\\", "/")
