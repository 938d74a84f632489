"""A conversation without repetition: most calls send all that was said before once more."""

from __future__ import annotations

from collections.abc import Sequence

from p2re_eval.records import Message, Trace


def answer_of(trace: Trace) -> Message | None:
    """The answer as the next turn of the conversation sends it again."""
    answer = trace.completion
    if answer is None:
        return None
    text = answer.text or answer.refusal or ""
    return Message(role="assistant", content=text, tool_calls=answer.tool_calls)


def unseen(asked: Sequence[Message], shown: Sequence[Message]) -> tuple[Message, ...]:
    """What is new in ``asked`` after a turn that left ``shown`` (its prompt and its answer).

    The end of ``shown`` is looked for inside ``asked``: what follows it is new, whether the
    program sends the whole conversation or only its last messages. An answer that the program
    did not send back as it was is skipped. System messages that were shown are not shown again.
    """
    start = _after_overlap(asked, shown)
    if not start and shown and shown[-1].role == "assistant":
        start = _after_overlap(asked, shown[:-1])
    instructions = {_key(one) for one in shown if one.role in {"system", "developer"}}
    return tuple(one for one in asked[start:] if _key(one) not in instructions)


def _after_overlap(asked: Sequence[Message], shown: Sequence[Message]) -> int:
    """Where ``asked`` goes on after the longest run of messages that ends as ``shown`` does."""
    news, olds = [_key(one) for one in asked], [_key(one) for one in shown]
    best, longest = 0, 0
    for end in range(len(news), 0, -1):
        length = 0
        while length < min(end, len(olds)) and news[end - 1 - length] == olds[-1 - length]:
            length += 1
        if length > longest:
            best, longest = end, length
    only_instructions = all(one.role in {"system", "developer"} for one in asked[:best])
    return 0 if only_instructions else best


def _key(message: Message) -> tuple[object, ...]:
    calls = tuple((call.name, call.arguments) for call in message.tool_calls)
    content = message.content.strip() if isinstance(message.content, str) else message.content
    return message.role, content, calls
