"""The story of the demonstration's jobs, as lines for people."""

import textwrap
from collections.abc import Iterable

from decentralized_vllm.protocol.units import format_tokens
from dvllm_devnet.demo.report import Delivery, Refunded, StageSeconds, TakenOver, Transaction

_LABEL_WIDTH = 12
_TEXT_WIDTH = 96


def tell_delivery(delivery: Delivery) -> str:
    money, usage = delivery.money, delivery.usage
    tokens = f"{usage.n_prompt_tokens} read, {usage.n_output_tokens} written"
    return _story(
        f"Job {delivery.job_id}: an answer, paid for",
        [
            ("answer", _wrapped(delivery.text)),
            ("model", f"{delivery.model_id}, run by {delivery.engine}"),
            ("prompt", delivery.prompt_cid),
            _transaction_line(delivery.request),
            ("leased to", f"{delivery.worker_name}, {delivery.worker}"),
            ("response", delivery.response_cid),
            _transaction_line(delivery.response),
            ("tokens", f"{tokens}, ended by {delivery.finish_reason}"),
            ("seconds", tell_seconds(delivery.seconds)),
            (
                "requester",
                f"paid {format_tokens(money.price_wei)} NEURO, "
                f"got back {format_tokens(money.back_wei)} of the {format_tokens(money.escrow_wei)}"
                " it had escrowed",
            ),
            (
                "node",
                f"earns {format_tokens(money.earned_wei)} NEURO when the dispute window is over"
                f" (fee {format_tokens(money.fee_wei)})",
            ),
        ],
    )


def tell_takeover(taken_over: TakenOver) -> str:
    return _story(
        f"Job {taken_over.job_id}: its worker was killed, the other one answered",
        [
            ("killed", f"{taken_over.first_name}, {taken_over.first_worker}"),
            ("took over", f"{taken_over.second_name}, {taken_over.second_worker}"),
            ("penalty", f"{format_tokens(taken_over.penalty_wei)} NEURO of the first one's stake"),
            *map(_transaction_line, taken_over.transactions),
            ("answer", _wrapped(taken_over.text)),
        ],
    )


def tell_refund(refunded: Refunded) -> str:
    return _story(
        f"Job {refunded.job_id}: nobody was there to answer, the money came back",
        [
            *map(_transaction_line, refunded.transactions),
            ("refund", f"{format_tokens(refunded.amount_wei)} NEURO, all that was escrowed"),
        ],
    )


def tell_seconds(seconds: StageSeconds) -> str:
    return (
        f"chain {seconds.chain_wait:.2f}, fetch {seconds.fetch:.2f}, "
        f"generate {seconds.generate:.2f}, publish {seconds.publish:.2f}, "
        f"submit {seconds.submit:.2f}; {seconds.total:.2f} in all"
    )


def _transaction_line(transaction: Transaction) -> tuple[str, str]:
    return (
        transaction.what,
        f"{transaction.tx_hash}  {transaction.gas_used:,} gas, by {transaction.by}",
    )


def _wrapped(text: str) -> str:
    """The answer's own lines, folded; later ones stand under the first."""
    lines = [
        folded
        for line in text.strip().splitlines() or [""]
        for folded in textwrap.wrap(line, _TEXT_WIDTH) or [""]
    ]
    indent = " " * (_LABEL_WIDTH + 2)
    return "\n".join([lines[0], *((indent + line).rstrip() for line in lines[1:])])


def _story(title: str, lines: Iterable[tuple[str, str]]) -> str:
    told = [f"  {label:<{_LABEL_WIDTH}}{text}" for label, text in lines]
    return "\n".join([title, *told])
