#!/usr/bin/env python3
"""openai_client.py URL [KEY] - talks to a running `sphinx serve` with OpenAI's own client, unchanged: chats, streams, sends an image, reads
log-probabilities, structured answers, lists and errors.

    sphinx serve --port 8080 &
    pip install openai
    tests/clients/openai_client.py http://127.0.0.1:8080/v1

It is not part of the test suite, which needs no Python. Exit code 0: all of it is as it should be.
"""

import base64
import json
import math
import pathlib
import sys

import openai

PICTURE = pathlib.Path(__file__).parent.parent.parent / "examples" / "pictures" / "people.jpg"
DETECT = "Detect all people shown in the image."


def check(what, holds):
    print(("ok      " if holds else "FAILED  ") + what)
    check.failed += not holds


check.failed = 0


def image_message(question, pictures=1):
    url = "data:image/jpeg;base64," + base64.b64encode(PICTURE.read_bytes()).decode()
    image = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
    return {"role": "user", "content": [image] * pictures + [{"type": "text", "text": question}]}


def chat(client, model):
    hello = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    answer = client.chat.completions.create(model=model, messages=hello, max_tokens=16, temperature=0)
    choice = answer.choices[0]
    check("an answer has a text", bool(choice.message.content) and choice.message.role == "assistant")
    check("and a reason to finish", choice.finish_reason in ("stop", "length"))
    check("and a usage", answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens)
    again = client.chat.completions.create(model=model, messages=hello, max_completion_tokens=16, temperature=0)
    check("the same question is answered alike", again.choices[0].message.content == choice.message.content)
    check("from the cache", again.usage.prompt_tokens_details.cached_tokens > 0)


def image(client, model):
    messages = [image_message(DETECT)]
    answer = client.chat.completions.create(model=model, messages=messages, temperature=0)
    regions = answer.model_extra["sphinx"]["regions"]
    check("an image is looked at", answer.usage.prompt_tokens_details.image_tokens > 0)
    check("its regions are told", all(len(box["box"]) == 4 for r in regions for box in r["boxes"]))
    messages += [{"role": "assistant", "content": answer.choices[0].message.content},
                 {"role": "user", "content": "Provide a one-sentence caption for the provided image."}]
    more = client.chat.completions.create(model=model, messages=messages, temperature=0)
    check("a conversation goes on", bool(more.choices[0].message.content))
    check("its beginning is not computed again",
          more.usage.prompt_tokens_details.cached_tokens > answer.usage.prompt_tokens - 8)


def stream(client, model):
    whole = client.chat.completions.create(model=model, messages=[image_message(DETECT)], temperature=0)
    text, reasons, usage, stages = "", [], None, set()
    chunks = client.chat.completions.create(model=model, messages=[image_message(DETECT)], temperature=0, stream=True,
                                            stream_options={"include_usage": True})
    for chunk in chunks:
        usage = chunk.usage or usage
        stages.add(((chunk.model_extra or {}).get("sphinx") or {}).get("progress", {}).get("stage"))
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    check("a stream has the same text", text == whole.choices[0].message.content)
    check("one end", len(reasons) == 1)
    check("and its usage", usage is not None and usage.completion_tokens == whole.usage.completion_tokens)
    print("        progress was told of", ", ".join(sorted(s for s in stages if s)) or "nothing")
    with client.chat.completions.stream(model=model, messages=[image_message(DETECT)], temperature=0) as events:
        final = events.get_final_completion()
    check("the client's own accumulator agrees", final.choices[0].message.content == text)
    with client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}], max_tokens=2000,
                                        stream=True) as left:
        next(iter(left))
    check("a stream may be left", True)


def logprobs(client, model):
    hello = [{"role": "user", "content": "Hello"}]
    answer = client.chat.completions.create(model=model, messages=hello, max_tokens=8, temperature=0, logprobs=True,
                                            top_logprobs=5)
    tokens = answer.choices[0].logprobs.content
    text = b"".join(bytes(t.bytes) for t in tokens).decode()
    check("log-probabilities spell the answer", text.lstrip() == answer.choices[0].message.content)
    check("each with five in its place", all(len(t.top_logprobs) == 5 for t in tokens))
    check("of probabilities", all(sum(math.exp(k.logprob) for k in t.top_logprobs) < 1.001 for t in tokens))


def options(client, model):
    hello = [{"role": "user", "content": "Hello"}]
    texts = {client.chat.completions.create(model=model, messages=hello, max_tokens=12, temperature=1.5, top_p=1, seed=s)
             .choices[0].message.content for s in (1, 1, 2, 3, 4)}
    check("seeds make answers differ, and repeat them", 1 < len(texts) < 5)
    told = [image_message("Generate a detailed description about the image.")]
    plain = client.chat.completions.create(model=model, messages=told, max_tokens=30, temperature=0)
    word = plain.choices[0].message.content.split()[2]
    cut = client.chat.completions.create(model=model, messages=told, max_tokens=30, temperature=0, stop=[word])
    check("a stop text ends it", cut.choices[0].finish_reason == "stop" and word not in cut.choices[0].message.content)


def structured(client, model):
    schema = {"type": "object", "properties": {"color": {"enum": ["red", "blue"]}, "people": {"type": "boolean"}},
              "required": ["color", "people"], "additionalProperties": False}
    try:
        answer = client.chat.completions.create(
            model=model, messages=[image_message(DETECT)], max_tokens=100,
            response_format={"type": "json_schema", "json_schema": {"name": "picture", "schema": schema, "strict": True}})
    except openai.BadRequestError as e:
        print("        response_format is refused:", e.message)
        return
    value = json.loads(answer.choices[0].message.content)
    check("an answer follows a schema", value["color"] in ("red", "blue") and isinstance(value["people"], bool))


def lists(client, model):
    check("models are listed", [m.id for m in client.models.list()] == [model])
    check("and described", client.models.retrieve(model).id == model)


def fails(what, kind, code, call):
    try:
        call()
    except kind as e:
        check(f"{what}: {e.status_code}, {e.code}", e.code == code and bool(e.message))
    else:
        check(f"{what} is refused", False)


def errors(client, model, url):
    create = client.chat.completions.create
    hello = [{"role": "user", "content": "Hello"}]
    bad = openai.BadRequestError
    fails("two images", bad, "invalid_image", lambda: create(model=model, messages=[image_message(DETECT, 2)]))
    remote = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}]}]
    fails("an image elsewhere", bad, "invalid_image", lambda: create(model=model, messages=remote))
    fails("two answers", bad, "unsupported_parameter", lambda: create(model=model, messages=hello, n=2))
    fails("a hot temperature", bad, None, lambda: create(model=model, messages=hello, temperature=-1))
    long = [{"role": "user", "content": "x " * 20000}]
    fails("a long question", bad, "context_length_exceeded", lambda: create(model=model, messages=long))
    fails("the same, streamed", bad, "context_length_exceeded", lambda: create(model=model, messages=long, stream=True))
    fails("another model", openai.NotFoundError, "model_not_found", lambda: client.models.retrieve("no-such"))
    if client.api_key != "none":
        stranger = openai.OpenAI(base_url=url, api_key="wrong", max_retries=0)
        fails("a wrong key", openai.AuthenticationError, "invalid_api_key", lambda: stranger.models.list())


def main():
    url, key = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "none"
    client = openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=120)
    model = next(iter(client.models.list())).id
    print(f"{model} at {url}, openai {openai.__version__}")
    chat(client, model)
    image(client, model)
    stream(client, model)
    logprobs(client, model)
    options(client, model)
    structured(client, model)
    lists(client, model)
    errors(client, model, url)
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
