from limner.core.errors import UnknownNameError, describe, did_you_mean


def test_a_message_says_what_where_found_expected_and_mend():
    message = describe(
        "The mask cannot be read", where="a.png", found="0 bytes", expected="a PNG", fix="Save it again."
    )
    assert message.splitlines() == [
        "The mask cannot be read: a.png",
        "  found:    0 bytes",
        "  expected: a PNG",
        "  fix:      Save it again.",
    ]


def test_the_nearest_name_is_offered_only_when_it_is_near():
    assert did_you_mean("unett", ["unet", "pspnet"]) == " (did you mean 'unet'?)"
    assert did_you_mean("xyz", ["unet", "pspnet"]) == ""
    assert "did you mean 'unet'" in str(UnknownNameError("network", "unnet", ["unet", "pspnet"]))
