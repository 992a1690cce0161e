"""The mapping: sources, defaults, the file, and the command that explains it."""

from __future__ import annotations

import json
import subprocess

import pytest
from running_server import command

from tipstaff import Interaction, UsageError
from tipstaff_gateway.chat import Message
from tipstaff_gateway.mapping import PROTOCOLS, Exchange, default_mapping, load_mapping
from tipstaff_gateway.mapping.sources import parse_source

MESSAGES = (
    Message(
        "system", "rules <context> first </context> and <context>second</context> <context>cut"
    ),
    Message("user", "one"),
    Message("assistant", "two"),
    Message("tool", "three"),
    Message("tool", "four"),
    Message("user", "five", ("image",)),
)
EXCHANGE = Exchange(
    messages=MESSAGES,
    answer="six",
    texts={"text": "seven", "tensor:output": "eight"},
    headers={
        "x-facts": "nine",
        "x-held": "[present]",
        # As servers read what was sent as UTF-8, and as Latin-1.
        "x-utf-8": "£30, 三十".encode().decode("latin-1"),
        "x-latin-1": "£30",
        # As LiteLLM's JSON has it.
        "x-json": "三十",
    },
    body={
        "a/b": {"c": ["ten", {"page_content": "eleven"}, {"text": "twelve"}, 13]},
        "empty": "  ",
        "list": [["deep"]],
    },
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("last_user", "five"),
        ("user", "one\n\nfive"),
        ("system", MESSAGES[0].text),
        ("tool_results", "three\n\nfour"),
        ("answer", "six"),
        ("text", "seven"),
        ("tensor:output", "eight"),
        ("tensor:input", None),
        ("tag:context", "first\n\nsecond"),
        ("tag:other", None),
        ("header:X-Facts", "nine"),
        ("header:x-held", None),
        ("header:absent", None),
        ("header:x-utf-8", "£30, 三十"),
        ("header:x-latin-1", "£30"),
        ("header:x-json", "三十"),
        ("body:/a~1b/c", "ten\n\neleven\n\ntwelve"),
        ("body:/a~1b/c/1", "eleven"),
        ("body:/a~1b/c/9", None),
        ("body:/a~1b/c/x", None),
        ("body:/nothing/there", None),
        ("body:/list", None),
    ],
)
def test_sources(name, text):
    assert parse_source(name).find(EXCHANGE).text == text


def test_parts_that_are_not_text_go_with_their_message():
    mapped = default_mapping()["envoy"].map(EXCHANGE)
    assert mapped.unread == ("image",)
    assert mapped.interaction == Interaction("five", "six", "three\n\nfour\n\nfirst\n\nsecond")


def test_blank_texts_are_absent():
    assert parse_source("body:/empty").find(EXCHANGE).text is None
    blank = Exchange(messages=(Message("user", " \n"),), answer="")
    assert default_mapping()["envoy"].map(blank).interaction == Interaction()


def test_a_section_replaces_the_keys_that_it_names(tmp_path):
    file = tmp_path / "mapping.toml"
    file.write_text('[envoy]\ninput = "system"\nreview = "allow"\nevaluator = "a"\n')
    mappings = load_mapping(file)
    assert set(mappings) == set(PROTOCOLS)
    assert [each.name for each in mappings["envoy"].input] == ["system"]
    assert (mappings["envoy"].review, mappings["envoy"].evaluator) == ("allow", "a")
    assert mappings["envoy"].ground_truth[0].name == "tool_results"
    assert mappings["litellm"].review == "block"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[envoy", "not TOML"),
        ("[http]\n", "[http]: there is no such section; there are [litellm]"),
        ("envoy = 1\n", "envoy: stands outside of a section; they are [litellm]"),
        ("[envoy]\nanswer = []\n", "[envoy] answer: there is no such key"),
        ("[envoy]\ninput = 7\n", "[envoy] input: must be a list of sources"),
        ("[envoy]\ninput = ['answr']\n", "[envoy] input: there is no source 'answr'"),
        ("[envoy]\ninput = ['body:a']\n", "no source 'body:a'"),
        ("[envoy]\ninput = ['tag:<b>']\n", "no source 'tag:<b>'"),
        ("[envoy]\nreview = 'pass'\n", "[envoy] review: must be 'block' or 'allow'"),
        ("[envoy]\nevaluator = 1\n", "[envoy] evaluator: must be a name"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, why):
    file = tmp_path / "mapping.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_mapping(file)
    assert why in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"mapping .*nothing\.toml: can't be read"):
        load_mapping(tmp_path / "nothing.toml")


REQUESTS = {
    "litellm": {
        "input_type": "request",
        "texts": ["a"],
        "images": ["AA=="],
        "structured_messages": [{"role": "user", "content": "when"}],
    },
    "envoy": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "when"}, {"type": "x"}]}
        ],
        "response": {"choices": [{"message": {"content": "now", "audio": {"data": ""}}}]},
    },
    "nemo": {"input": "now"},
    "kserve": {"inputs": [{"name": "output", "data": ["now"]}]},
}
EXPLAINED = {
    "litellm": [
        "last_user: 'when'",
        "output: not in this request, comes with the answer",
        "answer: nothing",
        "beside the answer, not read: image",
    ],
    "envoy": [
        "last_user: 'when'; not read: x",
        "answer: 'now'",
        "header:tipstaff-ground-truth: 'f'",
        "beside the answer, not read: audio",
    ],
    "nemo": ["output: 3 characters", "no sources", "header:tipstaff-ground-truth: 'f'"],
    "kserve": ["tensor:output: 'now'", "ground_truth: missing (MISSING_FIELD"],
}


def explain(*words, request):
    return subprocess.run(
        command("gateway", "--explain-mapping", *words),
        input=request,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_mapping_is_explained_on_a_request(protocol):
    header = ["--header", "Tipstaff-Ground-Truth: f"]
    done = explain(protocol, *header, request=json.dumps(REQUESTS[protocol]))
    assert done.returncode == 0, done.stderr
    for each in EXPLAINED[protocol]:
        assert each in done.stdout


def test_a_request_that_can_t_be_explained_is_said(tmp_path):
    done = explain("nemo", request="{")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "tipstaff: error: --request standard input: the body is not JSON: Expecting property name"
    )
    done = explain("nemo", "--request", tmp_path / "no.json", request="")
    assert "can't be read" in done.stderr
    done = explain("kserve", request='{"inputs": 5}')
    assert (done.returncode, done.stderr) == (0, "")
    done = explain("nemo", "--header", "a", request="{}")
    assert "--header 'a': give NAME:VALUE" in done.stderr


@pytest.mark.parametrize(
    ("protocol", "body", "why"),
    [
        ("nemo", b'{"input":\n  now}', "the body is not JSON: Expecting value at line 2, column 3"),
        ("nemo", b'{"input": "\xff"}', "the body is not JSON: not valid UTF-8 at byte 12"),
        (
            "nemo",
            b'{"input": 1' + b"1" * 5_000 + b"}",
            "the body is not JSON: a number is too long",
        ),
        ("nemo", b"[]", "the body must be a JSON object"),
        ("litellm", b'{"texts": 1}', "texts: must be a list"),
        ("envoy", b'{"response": {"choices": 1}}', ""),
    ],
)
def test_what_is_wrong_in_a_request_s_file_names_the_file(tmp_path, protocol, body, why):
    """Once, no message named the file, and none the line."""
    file = tmp_path / "request.json"
    file.write_bytes(body)
    done = explain(protocol, "--request", file, request="")
    assert done.returncode == 2
    assert done.stderr.startswith(f"tipstaff: error: --request {file}: {why}")
    assert done.stderr.count("\n") == 1
