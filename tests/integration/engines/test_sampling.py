"""Penalties and ratings, on scores that a test can count with."""

import math

import pytest
import torch

from decentralized_vllm.protocol.generation import Candidate, SamplingParameters
from dvllm_worker.engines.transformers_sampling import NotFiniteError, Rater, Sampler

CPU = torch.device("cpu")
WORDS = ["a", " b", " c"]


def scores(*values):
    return torch.tensor(values)


def greedy(**parameters):
    return Sampler(SamplingParameters(temperature=0.0, **parameters), CPU)


def picks(sampler, logits, count):
    return [sampler.pick(logits) for _ in range(count)]


def test_sampler__frequency__counts_every_time():
    assert picks(greedy(frequency_penalty=1.0), scores(2.5, 1.0, 0.0), 5) == [0, 0, 1, 0, 1]


def test_sampler__presence__counts_once():
    assert picks(greedy(presence_penalty=2.0), scores(2.5, 1.0, 0.0), 4) == [0, 1, 0, 0]


def test_sampler__negative_penalty__makes_repetition_likelier():
    sampler = greedy(presence_penalty=-2.0)
    assert sampler.pick(scores(1.0, 0.0)) == 0
    assert sampler.pick(scores(0.0, 1.0)) == 0


def test_sampler__penalties__leave_the_scores_as_they_are():
    logits = scores(2.5, 1.0)
    picks(greedy(frequency_penalty=1.0), logits, 3)
    assert logits.tolist() == [2.5, 1.0]


def test_sampler__no_scores__is_a_failure():
    with pytest.raises(NotFiniteError):
        greedy().pick(scores(float("nan"), 1.0))


def decode(token_ids):
    """Drops the space before the first word, as some tokenizers do."""
    return "".join(WORDS[each] for each in token_ids).lstrip()


def test_rater__tokens__with_their_place_in_the_text_and_the_likeliest():
    rater = Rater(decode, 2)
    logits = torch.log(scores(0.25, 0.5, 0.25))
    first, second = rater.rate(logits, 1), rater.rate(logits, 1)
    assert (first.text, second.text) == ("b", " b")
    assert first.logprob == pytest.approx(math.log(0.5), abs=1e-6)
    assert second.top[0] == Candidate(" b", second.logprob)
    assert len(second.top) == 2


def test_rater__more_than_the_vocabulary__is_all_of_it():
    assert len(Rater(decode, 5).rate(scores(1.0, 2.0, 3.0), 0).top) == 3


def test_rater__ruled_out_token__is_told_as_the_lowest():
    rated = Rater(decode, 0).rate(scores(0.0, -float("inf"), 0.0), 1)
    assert rated.logprob == -9999.0
