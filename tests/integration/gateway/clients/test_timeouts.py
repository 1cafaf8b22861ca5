"""Who hangs up first: a client that does so asks again by itself, and pays for the answer twice."""

from dvllm_gateway.settings import TasksSection
from tests.support.clients.programs import told_by_node, told_by_python

# What comes before the wait, such as a price, and what comes after it.
SPARE_S = 45


async def test_answer_wait__of_a_whole_answer__ends_before_openais_client_for_node_hangs_up():
    assert min(await told_by_node("timeouts.mjs")) >= TasksSection().answer_wait_s + SPARE_S


async def test_answer_wait__of_a_whole_answer__ends_before_clients_for_python_hang_up():
    assert min(await told_by_python("timeouts.py")) >= TasksSection().answer_wait_s + SPARE_S
