import io

from dvllm_devnet.console import Console


def told(work):
    stream = io.StringIO()
    work(Console(for_json=False, stream=stream))
    return stream.getvalue()


def test_say__square_brackets__stay():
    assert told(lambda console: console.say("a [bold] move")) == "a [bold] move\n"


def test_say__long_line__is_not_broken():
    assert told(lambda console: console.say("x" * 300)).count("\n") == 1


def test_waiting__no_terminal__tells_milestones_and_now_and_then_a_count():
    def work(console):
        with console.waiting("job 1") as wait:
            wait.milestone("leased")
            for n_tokens in range(5):
                wait.count(f"{n_tokens} tokens")
            wait.milestone("delivered")

    lines = told(work).splitlines()
    assert [line.split("s  ", 1)[1].strip() for line in lines] == [
        "job 1",
        "leased",
        "0 tokens",
        "delivered",
    ]


def test_for_json__standard_output_is_left_alone(capsys):
    Console(for_json=True).say("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")
