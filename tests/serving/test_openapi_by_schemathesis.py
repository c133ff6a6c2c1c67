"""The service does what its description says, for right and wrong requests that schemathesis makes of it."""

import pytest
from hypothesis import HealthCheck, given, settings

from limner.serving.openapi import openapi

pytestmark = pytest.mark.peer

HOST = "http://127.0.0.1:8000"
OPERATIONS = [
    (path, method)
    for path, operations in openapi()["paths"].items()
    for method in operations
    if method != "parameters"
]
EXAMPLES = 15
"""Requests to each address."""


UNSAID = {"/predict", "/corrections", "/label-studio/setup", "/label-studio/predict"}
"""Addresses that refuse what their schema cannot describe: files that are no images, XML without labels."""


@pytest.fixture
def schema(make_service, cells, tmp_path):
    schemathesis = pytest.importorskip("schemathesis")
    service = make_service(keep=tmp_path / "kept", data=cells, label_studio="http://127.0.0.1:9")
    return schemathesis.openapi.from_asgi("/openapi.json", service.app(), headers={"Host": "127.0.0.1"})


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda name: name)
def test_the_service_keeps_to_its_description(schema, path, method):
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    excluded = [positive_data_acceptance] if path in UNSAID else []

    @given(case=schema[path][method.upper()].as_strategy())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def check(case):
        case.call_and_validate(base_url=HOST, excluded_checks=excluded)

    check()
