from limner.preparation.run_names import next_free


def test_the_first_free_number_is_taken(tmp_path):
    (tmp_path / "cells-1").mkdir()
    (tmp_path / "cells-3").mkdir()
    assert next_free(tmp_path / "cells") == tmp_path / "cells-2"
