"""What the plan makes of its settings."""


def test_plan__existing_token__is_used(plan, owner, project):
    token = owner.deploy(project.NetworkToken, 10**24)
    settings = plan.public_network(owner.address, owner.address, token.address)
    steps = plan.deployment_steps(settings)
    addresses = plan.predicted_addresses(steps, owner.address, owner.nonce)
    values = plan.constructor_values(steps[0], addresses)
    coordinator = owner.deploy(project.InferenceCoordinator, *values)
    assert coordinator.token() == token.address


def test_plan__clocks__are_what_the_coordinator_says(plan, coordinator):
    clocks = coordinator.clocks()
    assert clocks.graceSeconds == plan.PUBLIC_CLOCKS.grace_s
    assert clocks.epochSeconds == plan.PUBLIC_CLOCKS.epoch_s
    assert clocks.coolDownSeconds == plan.PUBLIC_CLOCKS.cool_down_s
    assert clocks.maxAttempts == plan.PUBLIC_CLOCKS.max_attempts
