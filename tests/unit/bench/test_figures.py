import json

import pytest

from tests.bench.figures import Figure, at_least, at_most, percentile, show


@pytest.mark.parametrize(("percent", "value"), [(50, 2), (99, 4), (100, 4), (0, 1)])
def test_percentile__is_a_measured_value(percent, value):
    assert percentile([4, 1, 3, 2], percent) == value


def test_percentile__of_nothing__is_refused():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("goal", "verdict"), [(at_most(2), "met"), (at_most(1), "missed"), (at_least(2), "met")]
)
def test_verdict__compares_with_the_goal(goal, verdict):
    assert Figure("x", 2, "s", goal).verdict.endswith(verdict)


def test_show__asked_for_json__ends_with_one_object(capsys, monkeypatch):
    monkeypatch.setenv("JSON", "1")
    show("Title", [Figure("x_s", 0.25, "s"), Figure("y", 2, "")])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"x_s": 0.25, "y": 2}


def test_show__for_people__has_no_json(capsys, monkeypatch):
    monkeypatch.delenv("JSON", raising=False)
    show("Title", [Figure("x_s", 0.25, "s", at_most(1))])
    out = capsys.readouterr().out
    assert "{" not in out
    assert "at most 1: met" in out
