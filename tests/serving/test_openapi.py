"""The description says what the service does: its addresses, and the schemas of real answers."""

import pytest

from limner.serving.openapi import openapi

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def problems(value, schema, where="answer"):
    """Yield what of a value does not fit a schema, for the keywords that are used."""
    if "$ref" in schema:
        schema = openapi()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        each = [list(problems(value, one, where)) for one in schema["anyOf"]]
        yield from [f"{where} fits none: {each}"] if all(each) else []
        return
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
        yield f"{where} is {value!r}, no {kind}"
    elif value not in schema.get("enum", [value]):
        yield f"{where} is {value!r}"
    elif kind == "array":
        for number, item in enumerate(value):
            yield from problems(item, schema["items"], f"{where}[{number}]")
    elif kind == "object":
        yield from of_object(value, schema, where)


def of_object(value, schema, where):
    yield from (f"{where} lacks {name}" for name in schema["required"] if name not in value)
    for name, item in value.items():
        if name in schema["properties"]:
            yield from problems(item, schema["properties"][name], f"{where}.{name}")
        elif schema["additionalProperties"] is False:
            yield f"{where} has {name}"


def described(answer, path, method="get"):
    """Return the schema of an answer, by its status and media type."""
    responses = openapi()["paths"][path][method]["responses"]
    media_type = answer.headers["content-type"].partition(";")[0]
    return responses[str(answer.status_code)]["content"][media_type]["schema"]


def test_the_checker_finds_what_is_wrong():
    schema = {"$ref": "#/components/schemas/Runs"}
    assert not list(problems({"counts": "a", "size": [1, 2]}, schema))
    assert len(list(problems({"counts": 1, "size": [1, True], "more": 0}, schema))) == 3
    assert list(problems({"counts": "a"}, schema)) == ["answer lacks size"]


def test_every_address_is_described(make_service):
    routes = {
        (route.path, method.lower())
        for route in make_service().app().routes
        for method in route.methods - {"HEAD"}
    }
    paths = openapi()["paths"]
    assert routes == {(path, method) for path in paths for method in paths[path] if method != "parameters"}


def test_every_reference_exists():
    text = str(openapi())
    for name in openapi()["components"]["schemas"]:
        assert f"#/components/schemas/{name}'" in text, f"{name} is not used"
    assert all("$ref" in str(openapi()["paths"][path]) for path in ("/predict", "/models", "/health"))


@pytest.mark.parametrize("path", ["/models", "/health", "/openapi.json", "/metrics", "/"])
def test_answers_fit_their_schemas(make_client, path):
    answer = make_client().get(path)
    assert answer.status_code == 200
    schema = described(answer, path)
    value = answer.text if schema.get("type") == "string" else answer.json()
    assert not list(problems(value, schema))


def test_refusals_of_unknown_names_are_described(make_client, photo_file, cells):
    client = make_client(data=cells)
    answers = {
        ("/page/{name}", "get"): client.get("/page/none.js"),
        ("/data/{number}", "get"): client.get("/data/77"),
        ("/data/{number}/file", "get"): client.get("/data/x/file"),
        ("/predict", "post"): client.post("/predict?model=none", files=[photo_file]),
        ("/corrections", "post"): client.post("/corrections?model=none"),
        ("/data", "get"): make_client().get("/data"),
    }
    for (path, method), answer in answers.items():
        assert answer.status_code == 404, path
        assert not list(problems(answer.json(), described(answer, path, method))), path


def test_shown_images_fit_their_schemas(make_client, cells):
    client = make_client(data=cells)
    for path, address in (("/data", "/data?count=2"), ("/data/{number}", "/data/1")):
        answer = client.get(address)
        schema = described(answer, path)
        assert schema.get("type") == "string" or not list(problems(answer.json(), schema))


def test_predictions_fit_their_schema(make_client, photo_file):
    client = make_client()
    broken = ("images", ("words.png", b"words", "image/png"))
    for files in ([photo_file], [photo_file, broken]):
        answer = client.post("/predict?polygons=true", files=files)
        assert not list(problems(answer.json(), described(answer, "/predict", "post")))
    for files, headers in (
        ([broken], {}),
        ([photo_file], {"Accept": "text/csv"}),
        ([("x", photo_file[1])], {}),
    ):
        refused = client.post("/predict", files=files, headers=headers)
        assert not list(problems(refused.json(), described(refused, "/predict", "post")))


def test_corrections_fit_their_schema(make_client, photo, png, tmp_path):
    client = make_client(keep=tmp_path / "kept")
    files = {"image": ("a.png", png(photo)), "labels": ("labels.png", png(photo[..., 0] // 128))}
    for _ in range(2):
        answer = client.post("/corrections", files=files)
        assert not list(problems(answer.json(), described(answer, "/corrections", "post")))
    assert answer.status_code == 409
