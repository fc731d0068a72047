"""Proves the stand-in with the official Python client: what it sends must be what that client understands.

    make check-standin
    # or: python3 -m venv env && env/bin/pip install anthropic==2.12.0 && env/bin/python standin/tests/sdk_check.py

No key and no network beyond loopback are needed. Prints one line per check; exits with 1 when one fails.
"""

import subprocess
import sys

import anthropic

TOOL = {
    "name": "lookup",
    "description": "Looks a file up.",
    "strict": True,
    "input_schema": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "depth": {"type": "integer"}},
        "required": ["path", "depth"],
        "additionalProperties": False,
    },
}
MODEL = "claude-opus-5-5"
LONG_TEXT = "größer 🦀 " * 300
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def ask(text, **more):
    return {"model": MODEL, "max_tokens": 4096, "messages": [{"role": "user", "content": text}], **more}


def streamed(client, text, **more):
    with client.messages.stream(**ask(text, **more)) as stream:
        return stream.get_final_message()


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


@check
def reads_a_whole_message(client):
    message = client.messages.create(**ask("text"))
    assert text_of(message) == LONG_TEXT
    assert message.content[0].type == "thinking" and message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 100 and message._request_id


@check
def reads_a_stream(client):
    pieces = []
    with client.messages.stream(**ask("text")) as stream:
        for piece in stream.text_stream:
            pieces.append(piece)
        message = stream.get_final_message()
    assert "".join(pieces) == text_of(message) == LONG_TEXT
    assert message.stop_reason == "end_turn" and message.content[0].signature
    assert message.usage.output_tokens == client.messages.create(**ask("text")).usage.output_tokens


@check
def reads_raw_events(client):
    kinds = [event.type for event in client.messages.create(**ask("text"), stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds
    assert kinds.count("message_delta") == 2


@check
def runs_a_tool_loop(client):
    first = streamed(client, "tool", tools=[TOOL])
    calls = [block for block in first.content if block.type == "tool_use"]
    assert calls[0].input == {"path": "src/größe.rs", "depth": 2} and first.stop_reason == "tool_use"
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "ok"} for call in calls]
    turn = {"role": "assistant", "content": first.content}
    messages = [{"role": "user", "content": "tool"}, turn, {"role": "user", "content": results}]
    second = client.messages.create(model=MODEL, max_tokens=4096, tools=[TOOL], messages=messages)
    assert second.stop_reason == "end_turn"
    without = [messages[0], turn, {"role": "user", "content": "go on"}]
    call = lambda: client.messages.create(model=MODEL, max_tokens=4096, tools=[TOOL], messages=without)
    assert "tool_result" in str(raises(anthropic.BadRequestError, call))


@check
def counts_what_it_bills(client):
    prompt = {"system": "You look.", "tools": [TOOL], "messages": [{"role": "user", "content": "text"}]}
    counted = client.messages.count_tokens(model=MODEL, **prompt).input_tokens
    assert counted == client.messages.create(model=MODEL, max_tokens=4096, **prompt).usage.input_tokens


@check
def caches_a_prefix(client):
    sheet = {"type": "text", "text": "x" * 9600, "cache_control": {"type": "ephemeral"}}
    usage = lambda last: client.messages.create(**ask([sheet, {"type": "text", "text": last}])).usage
    written, read = usage("text"), usage("other")
    assert written.cache_creation_input_tokens == read.cache_read_input_tokens == 3000
    assert written.cache_creation.ephemeral_5m_input_tokens == 3000


@check
def describes_its_models(client):
    model = client.models.retrieve("claude-haiku-5-5")
    assert model.max_input_tokens == 1_000_000 and model.max_tokens == 128_000 and model.line == "haiku"
    assert model.capabilities.effort.xhigh.supported and model.capabilities.thinking.types.disabled.supported
    raises(anthropic.NotFoundError, lambda: client.models.retrieve("claude-1"))


@check
def passes_over_what_it_does_not_know(client):
    assert text_of(streamed(client, "future")) == "done"


@check
def tells_cut_refused_and_empty_answers(client):
    assert streamed(client, "cut", tools=[TOOL]).stop_reason == "max_tokens"
    refused = streamed(client, "refuse")
    assert refused.stop_reason == "refusal" and refused.stop_details.category == "cyber"
    assert streamed(client, "empty").content == []


@check
def retries_as_the_headers_say(client):
    assert text_of(client.messages.create(**ask("overloaded once"))) == LONG_TEXT
    assert text_of(client.messages.create(**ask("limited once"))) == LONG_TEXT
    error = raises(anthropic.RateLimitError, lambda: client.messages.create(**ask("spent")))
    assert type(error).__name__ == "EnforcedSpendLimitReachedError", type(error)
    raises(anthropic.ContentTooLargeError, lambda: client.messages.create(**ask("html")))


@check
def sees_streams_that_fail(client):
    error = raises(anthropic.APIStatusError, lambda: streamed(client, "error in stream"))
    assert "overloaded_error" in str(error) or "stream failed" in str(error), error
    assert streamed(client, "clean end").stop_reason is None, "the client takes a clean end for an answer"
    raises(Exception, lambda: streamed(client, "reset"))


@check
def is_refused_what_the_api_refuses(client):
    refused = lambda **more: str(raises(anthropic.BadRequestError, lambda: client.messages.create(**ask("text", **more))))
    assert "temperature: Extra inputs are not permitted" in refused(extra_body={"temperature": 1})
    assert "are not supported for this model" in refused(tools=[TOOL], tool_choice={"type": "any"})
    assert "is not supported for this model" in refused(thinking={"type": "disabled"})
    assert "maximum allowed number of output tokens" in refused(max_tokens=128_001, timeout=60)


def main():
    server = subprocess.Popen(
        ["cargo", "run", "--quiet", "-p", "standin", "--example", "claude_standin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    failed = 0
    try:
        client = anthropic.Anthropic(base_url=server.stdout.readline().strip(), api_key="sk-ant-stand-in")
        print(f"anthropic {anthropic.__version__} at {client.base_url}")
        for function in CHECKS:
            try:
                function(client)
                print(f"ok   {function.__name__}")
            except Exception as error:
                failed += 1
                print(f"FAIL {function.__name__}: {type(error).__name__}: {error}")
    finally:
        server.stdin.close()
        server.wait(timeout=10)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
