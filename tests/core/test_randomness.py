from limner.core.randomness import generator, torch_seed


def test_the_same_place_in_a_run_gives_the_same_numbers():
    assert generator(1, "crop", 5, 2).random(4).tolist() == generator(1, "crop", 5, 2).random(4).tolist()


def test_seed_purpose_and_every_counter_matter():
    places = [(0, "a", 0, 0), (1, "a", 0, 0), (0, "b", 0, 0), (0, "a", 1, 0), (0, "a", 0, 1), (0, "a", 0)]
    assert len({generator(*p).random() for p in places}) == len(places)
    assert len({torch_seed(*p) for p in places}) == len(places)


def test_neighbouring_draws_are_spread_evenly():
    # The mean of 4000 uniform numbers is 1/2 within 5 standard errors: 5 / sqrt(12 * 4000) = 0.023.
    numbers = [generator(0, "crop", step).random() for step in range(4000)]
    assert abs(sum(numbers) / len(numbers) - 0.5) < 0.023


def test_torch_seeds_fit_torch():
    assert all(0 <= torch_seed(0, "dropout", step) < 2**63 for step in range(100))
