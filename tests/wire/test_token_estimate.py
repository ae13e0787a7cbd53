"""Estimates that clients plan by: they grow with what a request holds."""

from __future__ import annotations

from nemo_gym.wire.token_estimate import FILE_TOKENS, IMAGE_TOKENS, estimated_tokens


def of(*parts, **params):
    return estimated_tokens(
        {"input": [{"type": "message", "role": "user", "content": list(parts)}], **params}
    )


def test_text_counts_by_its_length_wherever_it_stands():
    text = {"type": "input_text", "text": "word" * 100}
    assert of(text) == 100 + 4
    assert of(text, instructions="word" * 50) == 150 + 4
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "word" * 10}
    output = {"type": "function_call_output", "call_id": "c", "output": "word" * 10}
    assert estimated_tokens({"input": [call, output]}) == 21 + 8


def test_images_and_files_have_a_price_of_their_own():
    assert of({"type": "input_image", "image_url": "data:image/png;base64," + "A" * 9999}) == IMAGE_TOKENS + 4
    assert of({"type": "input_file", "file_id": "f"}) == FILE_TOKENS + 4


def test_tools_count_and_nothing_is_one():
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    assert of(tools=[tool]) > of()
    assert estimated_tokens({"input": []}) == 1
