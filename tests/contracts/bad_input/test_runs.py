def test_x(finished, limner):
    print((finished / "plan.yaml").read_text()[:3000])
    a = limner("train", "--resume", "runs/one", "--device", "cpu")
    print(a.out, a.err, a.code)
    assert 0
