TOKEN = {"Authorization": "Bearer a-long-random-token"}


def status(client, host, **headers):
    return client.get("/models", headers=headers | {"Host": host}).status_code


def test_other_names_of_the_service_are_accepted_if_they_are_stated(make_client):
    client = make_client(hosts=("Images.example",))
    assert status(client, "images.example:443") == status(client, "localhost") == 200
    assert status(client, "images.example", Origin="https://images.example") == 200
    refused = client.get("/models", headers={"Host": "other.example"})
    assert refused.status_code == 403
    assert refused.json()["found"] == "Host: other.example"
    assert refused.json()["expected"] == "localhost or a loopback address, images.example"
    assert "--allow-host" in refused.json()["fix"]


def test_a_token_admits_any_name_unless_names_are_stated(make_client):
    client = make_client(token="a-long-random-token")
    assert status(client, "other.example", **TOKEN) == 200
    client = make_client(token="a-long-random-token", hosts=("images.example",))
    assert status(client, "other.example", **TOKEN) == 403
    assert status(client, "images.example", **TOKEN) == status(client, "127.0.0.1", **TOKEN) == 200
    assert status(client, "images.example") == 401
