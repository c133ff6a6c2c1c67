"""The kinds of finding that formats report; those of `Problems` with what was expected and the fix.

`Terms.fill` gives the words in braces; the other findings state what they expect where they are made, and
take their severity from here.
"""

from functools import partial

from limner.core.finding import Code, Severity, build_finding

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_EXPORT = "Correct it in the tool that drew it and export again."

PAIRS: dict[str, Code] = {
    "layout": Code(_N, "Which folders were taken as images and masks, and how they were paired."),
    "known-dataset": Code(
        _N, "A public dataset's layout, or a class table beside the masks, names the values."
    ),
    "several-datasets": Code(
        _E,
        "Folders, or images with other labels in the same folders, that are left out are datasets of "
        "their own: a warning if they are small.",
        also=_W,
    ),
    "listed-file-missing": Code(_W, "A list names files that are not there."),
    "listed-file-ambiguous": Code(_W, "A list names files of which there are several; they are left out."),
    "listed-line-uneven": Code(
        _W, "Lines of a list have another number of cells than its first line; they are left out."
    ),
    "listed-class-unknown": Code(_E, "A list gives an image a class that the class names do not have."),
    "listed-class-unclear": Code(_W, "A list gives an image no class, or several; it is left out."),
    "class-order": Code(_W, "dataset.yaml renames numbered class folders by their position."),
    "image-without-mask": Code(
        _W,
        "Images have no mask; they are left out of training and scoring.",
        "a label file of its name",
        "Left out; label it, or move it away.",
    ),
    "image-not-segmented": Code(_N, "Images of a VOC folder have no mask and are in no list."),
    "mask-without-image": Code(_W, "Masks belong to no image; they are not used."),
    "archive-damaged": Code(
        _E, "A tar archive is damaged or cut off; members after the damage are not read."
    ),
    "channel-missing": Code(_E, "Cases of volumes lack the file of a channel that others have."),
    "several-images": Code(_W, "A folder that should hold one image holds several; they are left out."),
    "class-mask-missing": Code(_W, "One mask per class: some images lack the masks of some classes."),
    "ambiguous-pairing": Code(_W, "An image could belong to several masks; it is left out."),
    "mask-shared-by-images": Code(
        _W,
        "One mask serves several images.",
        "one image for each label file",
        "The labels are used for both. Rename one of the images if they are different pictures.",
    ),
    "several-label-sets": Code(_W, "Other folders could also hold the masks; they are not used."),
    "other-labels-not-used": Code(_N, "Further label files are not used, such as a second observer's."),
    "split-unlabelled": Code(
        _N,
        "No image of a split has a mask, as in the test sets of challenges; a warning for training images.",
        also=_W,
    ),
    "split-names-unknown-image": Code(_W, "A split list names images that are not there."),
    "split-list-not-used": Code(_W, "A list of a split's images is not used; the finding says why."),
    "image-in-no-split": Code(
        _N, "Images are in no list or folder of a split, and others are; they are left out."
    ),
    "image-kind-not-read": Code(_W, "Pictures that limner does not read are beside the images."),
    "folder-named-like-image": Code(_W, "A folder is named like an image file; it is skipped."),
    "folder-linked-twice": Code(_W, "A link leads to a folder that is listed already."),
    "name-garbled": Code(_W, "A file or folder has a name that is not UTF-8; it is skipped."),
    "folder-unreadable": Code(_W, "A folder cannot be listed for lack of permission."),
}
"""Codes of the pairing of images with labels."""

ANNOTATIONS: dict[str, Code] = {
    "category-unknown": Code(
        _E,
        "An annotation has a category id that is not defined.",
        "{category}",
        "Add the class to the {listing}, or remove the annotation.",
    ),
    "category-listed-twice": Code(
        _E,
        "Two categories have the same id or name.",
        "each id and each name once",
        "Rename or remove one of the two.",
    ),
    "image-listed-twice": Code(
        _E,
        "Two images have the same id, so annotations could belong to either.",
        "each image id once",
        "Renumber the images when joining JSON files.",
    ),
    "image-missing": Code(
        _W,
        "A listed image is not on disk; it is left out.",
        "each listed image on disk",
        "Add the file, or remove it from the {listing}.",
    ),
    "image-not-listed": Code(
        _N,
        "An image on disk is in no JSON; it is left out.",
        "{entry}",
        "Left out; list it if it shows no object at all.",
    ),
    "folder-not-listed": Code(
        _N,
        "A folder holds images and no JSON lists any of them; it is left out.",
        "a folder of images of which some are listed",
        "Left out. If it is another dataset, name it instead: `limner check FOLDER`; else list its images.",
    ),
    "image-in-two-files": Code(
        _W,
        "An image is in two label files; the first is used.",
        "each image in one label file",
        "The first is used, files of a split before others. Remove the image from one of them.",
    ),
    "image-annotated-twice": Code(
        _E,
        "COCO: two files hold different annotations of one image.",
        "all annotations of an image in one JSON file",
        "Merge the files if objects of both should be learned. Otherwise move the file that should not be "
        "used into a folder of its own.",
    ),
    "image-under-two-ids": Code(
        _W,
        "COCO: one file has two image ids; all its annotations are used.",
        "one id for each file",
        "All its annotations are used, as of one image. If they are of two images, rename one of them.",
    ),
    "categories-numbered-differently": Code(
        _W,
        "COCO and DICOM SEG: files number their classes differently; those of one name are one class.",
        "one name for each category id in all files",
        "Categories of one name are one class, and mask values are renumbered. Check that no class has "
        "two spellings.",
    ),
    "annotation-image-unknown": Code(
        _W,
        "An annotation belongs to an image that is not listed.",
        "an id that `images` lists",
        "Left out. " + _EXPORT,
    ),
    "annotation-listed-twice": Code(
        _W,
        "Two annotations have the same id; both are used.",
        "each annotation id once",
        "Both are used: check whether one is a copy.",
    ),
    "annotation-malformed": Code(
        _E,
        "An annotation is incomplete or has values of another type; it is left out.",
        "an image, a class and a complete shape, as the format has them",
        f"Left out, so its pixels count as background. {_EXPORT} Or leave it out for good: "
        "`limner convert` writes a copy without it.",
    ),
    "labels-are-predictions": Code(
        _W,
        "Label Studio: a file has predictions of a model and no annotation; they are read as labels.",
        "annotations that a person drew or accepted",
        "Read as labels. Correct and submit them in Label Studio and export again, so that nothing is "
        "learned from a model's errors.",
    ),
    "flags-unclear": Code(
        _W,
        "labelme: an image has no flag set, or several; it is left out.",
        "one flag that is set",
        "Left out. In labelme, set the one flag that is the image's class.",
    ),
    "annotation-without-mask": Code(
        _W,
        "An annotation has a box and no mask; it is left out.",
        "a polygon or an RLE",
        "Left out: a box alone gives no mask.",
    ),
    "boxes-among-masks": Code(
        _E,
        "Objects have only a box although others have masks.",
        "a mask for each object, since pixels without one count as background",
        "Accept that losses and scores ignore the pixels of these boxes; or write `boxes: outline` into "
        "dataset.yaml if the boxes are the outlines of their objects; or draw the missing masks.",
    ),
    "folder-without-labels": Code(
        _W,
        "A folder of images has no label file at all; it is left out.",
        "a label file for some image of each folder",
        "Left out. Add the label files if they are missing, empty ones for images without objects.",
    ),
    "boxes-only": Code(
        _N,
        "No annotation has a mask: these are labels for detection.",
        "polygons or masks, where masks are to be trained",
        "No action needed to train --task detection; to train on masks, export the labels with masks.",
    ),
    "run-order-unclear": Code(
        _E,
        "Run lengths of a CSV could go down columns or along rows.",
        "images that are not square, which tell columns from rows",
        "Accept that runs go down the columns; or write `run_order: rows` into dataset.yaml. "
        "`limner browse` shows which is right.",
    ),
    "attribute-unclear": Code(
        _E,
        "VIA: regions have several attributes that could be the class.",
        "one attribute of regions that names the classes",
        "Accept the first as the class, or write `class_attribute` with the name of another into "
        "dataset.yaml.",
    ),
    "box-zero-size": Code(
        _W,
        "A box has no width or no height; it is left out.",
        "a box with a width and a height",
        "Left out. Remove the box, or redraw it.",
    ),
    "box-rotated": Code(
        _N,
        "COCO: CVAT rotated a box, which is taken as the upright box around it.",
        "upright boxes, or polygons",
        "No action needed to train detection; polygons keep the rotation.",
    ),
    "box-outside-image": Code(
        _W,
        "A box reaches outside the image; it is clipped at the border.",
        "a box inside the image",
        "Clipped at the border. " + _EXPORT,
    ),
    "annotation-without-image": Code(
        _W,
        "A label file belongs to no image.",
        "an image of the same name",
        "Add the image, or remove the file.",
    ),
    "size-not-stated": Code(
        _W,
        "A label file does not state the image size; the image's own is used.",
        "width and height",
        "Taken from the image instead. " + _EXPORT,
    ),
    "value-outside-0-1": Code(
        _W,
        "A fraction of a side is not between 0 and 1; it is clipped.",
        "fractions of width and height, 0 to 1",
        "Clipped at the border. " + _EXPORT,
    ),
    "coordinates-in-pixels": Code(
        _E,
        "YOLO: coordinates are pixels instead of fractions; left out.",
        "fractions of width and height, 0 to 1",
        "Left out. Divide x by the width and y by the height of the image, or export it again.",
    ),
    "class-beyond-names": Code(
        _E,
        "A YOLO class number has no name in data.yaml.",
        "a number that `names` lists",
        "Add its name, or correct the number.",
    ),
    "names-unreadable": Code(
        _E,
        "YOLO: data.yaml names no classes that can be used.",
        "`names` as a list, or as a mapping from numbers to names",
        "Correct the file, or export it again. Without the file, classes are called by their numbers.",
    ),
    "name-lists-differ": Code(
        _E,
        "Two files give a class number or colour different names.",
        "one name for each number in all files",
        "Correct or remove the file whose names are wrong; or name the classes in dataset.yaml.",
    ),
    "several-labels": Code(
        _W,
        "Label Studio: a region has several labels; the first is used.",
        "one label per region",
        "The first label is used. Allow one label per region in the tool, or draw the region once for each.",
    ),
    "class-not-named": Code(
        _W,
        "Objects have a class that dataset.yaml does not name; left out.",
        "a name under `classes` in dataset.yaml",
        "Left out; name it to train it.",
    ),
    "shape-unknown": Code(
        _W,
        "A shape is of a kind that limner does not know; it is left out.",
        "a polygon, box, circle, line, point or mask",
        "Left out. " + _EXPORT,
    ),
    "drawn-by-width": Code(
        _N,
        "Lines and points are drawn with a width, since they have no area.",
        "shapes with an area",
        "Lines are drawn 10 pixels wide and points 11 across, as labelme does; polygons are more exact.",
    ),
    "polygon-crosses-itself": Code(
        _W,
        "An outline crosses itself.",
        "an outline that does not cross itself",
        "Filled as it is, with gaps where it overlaps itself. " + _EXPORT,
    ),
    "word-crosses-itself": Code(
        _W,
        "The outline of a word crosses itself: corners are put in order, or the largest loop is used.",
        "the corners of a word in order around it",
        "Four corners are put in order; of other outlines the largest loop is used. " + _EXPORT,
    ),
    "box-and-mask-disagree": Code(
        _W,
        "A stated box is more than 2 pixels from its mask.",
        "a box within 2 pixels of its mask",
        "Training uses the mask, and boxes use the stated box. Redraw one of them.",
    ),
    "annotation-repeated": Code(
        _W,
        "An object is drawn twice; both are used.",
        "each object drawn once",
        "Both are used: remove the copy.",
    ),
    "objects-overlap": Code(
        _N,
        "Objects that should not overlap share pixels.",
        "each pixel in one object",
        "No action needed for a few pixels: label maps give them to the smaller object, instances to "
        "both. If there are more, check whether an object is drawn twice.",
    ),
    "classes-overlap": Code(
        _W,
        "One mask per class: pixels are in the masks of several classes.",
        "each pixel in the mask of one class",
        "The class with the smaller area is on top; check whether that is right where classes overlap.",
    ),
    "segment-not-in-png": Code(
        _W,
        "A panoptic segment is listed and has no pixel in the PNG.",
        "each listed segment in the PNG",
        "Nothing is trained on it. " + _EXPORT,
    ),
    "crowd": Code(
        _N,
        "Some annotations are crowds, which are neither trained on nor scored.",
        "single objects",
        "No action needed: crowds are not trained on, and predictions inside one do not count as wrong.",
    ),
    "not-exhaustive": Code(
        _N,
        "LVIS: not all objects of some classes are drawn in these images.",
        "all objects of all classes drawn",
        "Objects of classes that are not labelled in an image are neither right nor wrong in scores, nor in "
        "training of detectors and of networks with queries; other networks take what is not drawn for "
        "background.",
    ),
    "polygon-too-short": Code(
        _W,
        "A polygon has fewer than 3 points; it is left out.",
        "3 points or more",
        "The polygon is left out. " + _EXPORT,
    ),
    "polygon-outside-image": Code(
        _W,
        "A polygon reaches outside the image; it is clipped at the border.",
        "points inside the image",
        "Clipped at the border. " + _EXPORT,
    ),
    "object-below-a-pixel": Code(
        _W,
        "An object is less than a pixel wide and high; an error if most are.",
        "coordinates in pixels",
        "Remove it if it was drawn by mistake. If most objects are like this, their coordinates are "
        "fractions of the sides, or degrees: convert them to pixels and export them again.",
        also=_E,
    ),
    "annotation-empty": Code(
        _W,
        "An annotation covers no pixel of the image; it is left out.",
        "an area of a pixel or more",
        "Left out. " + _EXPORT,
    ),
    "rle-wrong-length": Code(
        _W,
        "Run lengths do not add up to the image; the annotation is left out.",
        "runs that add up to height x width",
        "Left out. " + _EXPORT,
    ),
    "text-ignored": Code(
        _N,
        "Words are marked as unreadable (`###` or `ignore`); they are ignored.",
        "",
        "No action needed: losses and scores ignore these words.",
    ),
    "ids-are-text": Code(
        _N,
        "Ids are written as text; they are compared as the numbers they spell.",
        "numbers",
        "No action needed: text is compared as the number it spells.",
    ),
    "other-annotations-not-used": Code(
        _N,
        "Another JSON of the same images is not used.",
        "one set of annotations",
        "No action needed if it draws the same objects; to use it, move it into a folder of its own.",
    ),
}
"""Codes of single annotations, and of the files that hold them."""

FORMAT_CODES = PAIRS | ANNOTATIONS
"""Code -> what it means."""

format_finding = partial(build_finding, FORMAT_CODES)
"""Returns a finding of one of these codes, see `build_finding`."""
