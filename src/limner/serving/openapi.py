"""The OpenAPI description of the service."""

from typing import Any

from limner import __version__
from limner.serving.answer_kinds import NIFTI, PICTURES, PNG

Schema = dict[str, Any]


def openapi() -> Schema:
    """Return the description, in OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "limner serve",
            "version": __version__,
            "description": "Predictions of trained vision models. Errors are JSON with `error`, `found`, "
            "`expected` and `fix`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _paths() -> Schema:
    return {
        "/predict": {"post": _predict()},
        "/corrections": {"post": _correct()},
        "/models": {"get": _get("The models and limits of the server", "Models")},
        "/data": {
            "get": _get(
                "The images that the server shows, if it was started with --data", "Data", "400", "404"
            )
            | {
                "parameters": [
                    _parameter("start", _whole(0), "Number of the first image to list."),
                    _parameter("count", _whole(60), "Maximum number of images to list."),
                ]
            }
        },
        "/data/{number}": {
            "get": _get("An image with its labels", "", "400", "404", "422", media_type=PNG)
            | {"parameters": [_number(), _parameter("large", _FLAG, "Whether it is enlarged.")]}
        },
        "/data/{number}/file": {
            "get": _get(
                "The file of an image", "", "400", "404", "422", media_type="application/octet-stream"
            )
            | {"parameters": [_number()]}
        },
        "/health": {"get": _public(_get("Whether the server answers", "Health"))},
        "/metrics": {"get": _get("Counts and times for Prometheus", media_type="text/plain")},
        "/openapi.json": {"get": _public(_get("This description", "Anything"))},
        "/": {"get": _public(_get("The web page", media_type="text/html"))},
        "/page/{name}": {
            "get": _public(_get("A file of the web page", "", "404", media_type="*/*"))
            | {"parameters": [_parameter("name", {"type": "string"}, "Name of the file.", where="path")]}
        },
        **_labelling(),
    }


def _labelling() -> Schema:
    """Return the addresses for Label Studio, whose documents describe the requests."""
    text = {"type": "string"}
    errors = ("400", "401", "403", "408", "413", "422", "429", "502", "503", "504")

    def post(summary: str, schema: str, needed: Schema) -> Schema:
        body = {"type": "object", "properties": needed, "required": list(needed)}
        posted = {"required": True, "content": {"application/json": {"schema": body}}}
        content = {"application/json": {"schema": _ref(schema)}}
        answer = {"200": {"description": summary, "content": content}}
        return {"post": {"summary": summary, "requestBody": posted, "responses": answer | _errors(*errors)}}

    return {
        "/label-studio/health": {"get": _public(_get("Whether the ML backend answers", "LabellingHealth"))},
        "/label-studio/setup": post("Connect a project of Label Studio", "LabellingSetup", {"schema": text}),
        "/label-studio/predict": post(
            "Predict tasks of Label Studio",
            "LabellingResults",
            {"tasks": _list({"type": "object"}), "label_config": text},
        ),
        "/label-studio/webhook": post("Acknowledge an event of Label Studio", "LabellingEvent", {}),
    }


def _predict() -> Schema:
    pictures = {"type": "string", "enum": list(PICTURES), "default": "labels"}
    answers = {
        "application/json": {"schema": _ref("Predictions")},
        PNG: {"schema": {"type": "string", "format": "binary"}},
        NIFTI: {"schema": {"type": "string", "format": "binary"}},
    }
    return {
        "operationId": "predict",
        "summary": "Predict images",
        "description": "JSON for one image or several; for one image also PNG (label map, overlay, or the "
        "image itself for display), and for volumes NIfTI, by Accept. Of several images, those that cannot "
        "be predicted have an `error`.",
        "parameters": [
            _parameter("model", {"type": "string"}, "Name of the model; default: the first."),
            _parameter("picture", pictures, "Which PNG is returned."),
            _parameter("polygons", _FLAG, "Whether objects have outlines beside masks."),
            _parameter("volume", _FLAG, "Whether label maps of volumes have `volume`, as the page shows it."),
        ],
        "requestBody": _form({"images": {"type": "array", "items": _file(), "minItems": 1}}, ["images"]),
        "responses": {"200": {"description": "The predictions", "content": answers}}
        | _errors("400", "401", "403", "404", "406", "408", "413", "415", "422", "429", "503", "504"),
    }


def _correct() -> Schema:
    return {
        "operationId": "correct",
        "summary": "Keep a corrected prediction",
        "description": "Only if the server was started with --keep. `labels` is a PNG of the image's size "
        "whose values are the numbers of the model's classes, `index` in /models.",
        "parameters": [
            _parameter("model", {"type": "string"}, "Name of the model; default: the first."),
            _parameter(
                "replace",
                {"type": "boolean", "default": False},
                "Whether to replace an earlier correction of this name.",
            ),
        ],
        "requestBody": _form({"image": _file(), "labels": _file()}, ["image", "labels"]),
        "responses": {
            "201": {
                "description": "Where image and labels are kept",
                "content": {"application/json": {"schema": _ref("Kept")}},
            }
        }
        | _errors("400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "500"),
    }


_FLAG: Schema = {"type": "boolean", "default": False}


def _whole(default: int) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": 999999999, "default": default}


def _number() -> Schema:
    schema = {"type": "integer", "minimum": 0}
    return _parameter("number", schema, "Number of the image in /data.", where="path")


def _get(summary: str, schema: str = "", *errors: str, media_type: str = "application/json") -> Schema:
    content = {"schema": _ref(schema)} if schema else {"schema": {"type": "string"}}
    return {
        "summary": summary,
        "responses": {"200": {"description": summary, "content": {media_type: content}}}
        | _errors("401", "403", *errors),
    }


def _public(operation: Schema) -> Schema:
    """Return an operation that needs no token."""
    return operation | {"security": []}


def _parameter(name: str, schema: Schema, description: str, *, where: str = "query") -> Schema:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": description,
    }


def _form(properties: Schema, required: list[str]) -> Schema:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _file() -> Schema:
    return {"type": "string", "format": "binary"}


def _errors(*statuses: str) -> Schema:
    meanings = {
        "400": "An option or field is wrong",
        "401": "No valid token",
        "403": "Another host or origin",
        "404": "There is no such model, image or file",
        "406": "No answer of the accepted types",
        "408": "The request took too long to arrive",
        "409": "The name is taken, or the classes differ",
        "413": "The request or the image is too large",
        "415": "The request is no form with files",
        "422": "The file cannot be read, or does not suit the model",
        "429": "Too many requests; Retry-After has seconds",
        "500": "The server failed",
        "502": "Label Studio did not return an image",
        "503": "The model changed on disk",
        "504": "The prediction took too long",
    }
    content = {"application/json": {"schema": _ref("Error")}}
    return {status: {"description": meanings[status], "content": content} for status in statuses}


def _ref(name: str) -> Schema:
    return {} if name == "Anything" else {"$ref": f"#/components/schemas/{name}"}


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    """Return the schema of an object without other keys."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _shown_schemas() -> Schema:
    """Return the schemas of what the page shows besides predictions."""
    text, whole, number, flag = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
    numbers = _list(number)
    return {
        "Volume": _object(
            {"size": _list(whole), "full_size": _list(whole), "spacing": numbers, "planes": _list(text)}
            | {"start": _list(whole), "channels": whole, "image": text, "labels": text}
        )
        | {
            "description": "Turned as in radiology if the orientation is known, and with voxels left out if "
            "it is large. `image` is uint8 (slices, rows, columns, channels), `labels` little-endian uint16 "
            "(slices, rows, columns): number of the class + 1, and 0 for none; both packed with gzip and "
            "base64."
        },
        "Data": _object(
            {"title": text, "score": {"anyOf": [text, {"type": "null"}]}, "total": whole}
            | {"images": _list(_ref("ShownImage"))}
        ),
        "ShownImage": _object(
            {"number": whole, "name": text, "file": text, "is_single": flag}
            | {"score": {"anyOf": [number, {"type": "null"}]}}
        ),
    }


def _schemas() -> Schema:
    text, whole, number, flag = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
    numbers = _list(number)
    named = {"index": whole, "name": text}
    sizes = {"area_mm2": number, "volume_mm3": number}
    outline = _object({"is_hole": flag, "points": _list(numbers)})
    error = {"error": text, "found": text, "expected": text, "fix": text}
    found = {
        "classes": _list(_object(named | {"pixels": whole}, {"mask": _ref("Runs")} | sizes)),
        "objects": _list(
            _object(
                named | {"score": number, "box_xyxy": numbers},
                {"pixels": whole, "mask": _ref("Runs"), "polygons": _list(outline), "is_thing": flag} | sizes,
            )
        ),
        "words": _list(_object({"polygon": _list(numbers), "box_xyxy": numbers, "score": number})),
        "probabilities": _list(_object(named | {"probability": number, "is_predicted": flag})),
    }
    image = {"file": text, "size": _list(whole), "channels": whole, "dtype": text, "seconds": number}
    found["volume"] = _ref("Volume")
    image |= {"spacing_mm": {"anyOf": [numbers, {"type": "null"}]}}
    return _shown_schemas() | {
        "Error": _object(error),
        "Health": _object({"status": {"type": "string", "enum": ["ok"]}, "limner": text}),
        "Runs": _object({"counts": text, "size": _list(whole)})
        | {"description": "COCO's compressed run lengths, column by column."},
        "Image": _object(image, found),
        "Failure": _object({"file": text} | error),
        "Predictions": _object({"model": text, "images": _list({"anyOf": [_ref("Image"), _ref("Failure")]})}),
        "Models": _object(
            {"models": _list(_ref("Model")), "limits": _ref("Limits"), "keeps": flag, "shows": flag}
        ),
        "Limits": _object({"max_megabytes": number, "max_pixels": whole, "queue": whole, "timeout": number}),
        "Model": _object(
            {"name": text, "task": text, "title": text, "network": text, "device": text}
            | {"channels": whole, "spatial_dims": whole, "is_correctable": flag, "score_threshold": number}
            | {"classes": _list(_ref("Class"))}
        ),
        "Class": _object(named | {"value": whole, "color": _list(whole), "is_background": flag}),
        "LabellingHealth": _object({"status": {"type": "string", "enum": ["UP"]}, "model_class": text}),
        "LabellingSetup": _object({"model_version": text, "classes_without_label": _list(text)}),
        "LabellingResults": _object(
            {
                "results": _list(
                    {"type": "object", "properties": {}, "required": []} | {"additionalProperties": True}
                ),
                "model_version": text,
            }
        ),
        "LabellingEvent": _object({"status": text, "action": text}),
        "Kept": _object({"image": text, "mask": text, "is_replaced": flag, "num_images": whole}),
    }
