import torch

from limner.layers.reverse_attention import ReverseAttentionBranch, background_probability


def test_one_class_is_one_less_its_probability():
    logits = torch.tensor([-2.0, 0.0, 3.0]).reshape(1, 1, 1, 3)
    # the papers: 1 - sigmoid(x)
    torch.testing.assert_close(background_probability(logits), 1 - logits.sigmoid())


def test_two_classes_say_the_same_as_one():
    score = torch.randn(2, 1, 3, 4)
    both = torch.cat((torch.full_like(score, 5.0), score + 5.0), dim=1)
    torch.testing.assert_close(background_probability(both), background_probability(score))


def test_more_classes_leave_what_no_class_but_the_first_claims():
    logits = torch.tensor([1.0, 2.0, 0.5]).log().reshape(1, 3, 1, 1)
    # one part in 1 + 2 + 0.5
    torch.testing.assert_close(background_probability(logits), torch.full((1, 1, 1, 1), 1 / 3.5))


def test_weighing_behind_the_first_convolution_changes_nothing():
    torch.manual_seed(0)
    branch = ReverseAttentionBranch(6, 4, num_classes=3, guide_channels=2).eval()
    features, logits, guide = torch.randn(1, 6, 8, 8), torch.randn(1, 3, 4, 4), torch.randn(1, 2, 8, 8)
    coarse = torch.nn.functional.interpolate(logits, scale_factor=2, mode="bilinear")
    # as the authors write it: all channels of the features are weighed first
    plain = branch.narrow(coarse.softmax(1)[:, :1] * features)
    expected = branch.last(branch.convs(torch.cat((plain, guide), dim=1))) + coarse
    torch.testing.assert_close(branch(features, logits, guide), expected)


def test_what_is_found_is_not_looked_at_again():
    branch = ReverseAttentionBranch(6, 4, num_classes=1).eval()
    found = torch.full((1, 1, 8, 8), 1e4)
    first, second = (branch(torch.randn(1, 6, 8, 8), found) for _ in range(2))
    torch.testing.assert_close(first, second)
