"""Generated JSON, as it may stand in a row."""

import copy

from hypothesis import strategies as st

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(max_size=8), json_values, max_size=5)

WORDS = (
    "type", "text", "role", "content", "input", "messages", "tools", "tool_choice", "name", "function",
    "arguments", "tool_calls", "call_id", "id", "output", "summary", "user", "assistant", "tool", "system",
    "message", "function_call", "function_call_output", "reasoning", "input_text", "output_text", "image",
    "input_image", "image_url", "source", "tool_use", "tool_result", "tool_use_id", "thinking", "refusal",
    "metadata", "extra_body", "parameters", "response_format", "json_schema", "schema", "output_config",
    "format", "namespace", "additional_tools", "instructions", "reasoning_content", "input_schema",
    "max_tokens", "temperature", "stop_sequences", "user_id", "url", "auto", "any", "{}",
)  # fmt: skip
words_of_the_wire = st.sampled_from(WORDS)
hostile_values = st.recursive(
    words_of_the_wire | st.none() | st.booleans() | st.integers(-1, 2) | st.just(0.5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(words_of_the_wire, inner, max_size=5)
        | st.builds(
            lambda kind, fields: {**fields, "type": kind},
            words_of_the_wire,
            st.dictionaries(words_of_the_wire, inner, max_size=4),
        )
    ),
    max_leaves=25,
)


@st.composite
def spoiled(draw, body):
    """`body` with one or two of its values replaced by something that doesn't belong there."""
    spoiled_body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 2))):
        container, key = draw(st.sampled_from(places(spoiled_body)))
        container[key] = draw(hostile_values)
    return spoiled_body


def places(value):
    """Every (container, key) in a JSON value."""
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    found = [(value, key) for key, _ in pairs]
    for _, inner in pairs:
        if isinstance(inner, dict | list):
            found += places(inner)
    return found
