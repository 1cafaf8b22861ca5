"""Adapter and child understand each other, and nothing else."""

import pytest

from decentralized_vllm.protocol.generation import (
    Candidate,
    EngineIdentity,
    FinishReason,
    Message,
    PromptTokenLogprob,
    SamplingParameters,
    TokenLogprob,
)
from dvllm_worker.engines.wire import (
    Alive,
    Cancel,
    Command,
    Ended,
    Event,
    Failed,
    Order,
    Piece,
    Ready,
    Refused,
    WireError,
    command_line,
    event_line,
    read_command,
    read_event,
)

PARAMETERS = SamplingParameters(5, 0.5, 0.9, 3, ("\n", "é"), 2**63 - 1)


@pytest.mark.parametrize(
    "command",
    [
        Order(1, PARAMETERS, (Message("user", "line\nline"),), None),
        Order(2, SamplingParameters(), None, "名前\u2028"),
        Order(3, SamplingParameters(presence_penalty=0.5, logprobs=0), None, "x"),
        Order(4, SamplingParameters(), None, None, token_ids=(0, 2**31 - 1)),
        Cancel(3),
    ],
)
def test_command__there_and_back__same_in_one_line(command: Command) -> None:
    line = command_line(command)
    assert line.count(b"\n") == 1
    assert read_command(line) == command


@pytest.mark.parametrize(
    "event",
    [
        Ready(EngineIdentity("transformers", "5", "bfloat16", "cpu"), 2048),
        Piece(1, "a\nb", (1, 2), 9),
        Piece(1, "", (2,), 9, FinishReason.STOP),
        Piece(1, "a", (2,), 9, None, (TokenLogprob("a", -0.5, (Candidate("b", -0.25),)),)),
        Piece(1, "", (), 9, None, (), (PromptTokenLogprob("a", None),)),
        Alive(1),
        Refused(1, "too long"),
        Failed(1, "out of memory"),
        Ended(1),
    ],
)
def test_event__there_and_back__same_in_one_line(event: Event) -> None:
    line = event_line(event)
    assert line.count(b"\n") == 1
    assert read_event(line) == event


@pytest.mark.parametrize(
    "line",
    [b"", b"Loading weights...\n", b"{}", b'{"kind":"piece","number":"one"}', b'{"kind":"order"}'],
)
def test_read_event__something_else__wire_error(line: bytes) -> None:
    with pytest.raises(WireError):
        read_event(line)


def test_read_command__an_event__wire_error() -> None:
    with pytest.raises(WireError):
        read_command(event_line(Ended(1)))
