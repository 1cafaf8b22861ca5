"""Errors leave processes as they were raised: pools of them can not do without."""

import copy
import inspect
import pickle

import pytest

from decentralized_vllm.protocol import errors

GIVEN = {"refund_wei": 7, "code": "content_missing"}
KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, errors.DvllmError)
]


def made(kind):
    """With a hint where it takes one."""
    parameters = inspect.signature(kind.__init__).parameters
    named = {name: value for name, value in GIVEN.items() if name in parameters}
    if "hint" in parameters:
        named["hint"] = "change it"
    n_texts = 2 if issubclass(kind, errors.SettingError) else 1
    return kind(*["text"] * n_texts, **named)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copied", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_error__pickled_or_copied__is_the_same(kind, copied):
    error = made(kind)
    again = copied(error)
    assert type(again) is kind
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
