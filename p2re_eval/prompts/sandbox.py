"""The Jinja environment that prompts are rendered in: strict, immutable and bounded.

Messages and partials follow one rule. The newline that ends them is not part of them; a line that
holds nothing but tags and comments leaves nothing behind, where an ``include`` counts as the text
it includes; everything else is sent as written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, TemplateNotFound, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from p2re_eval.errors import OutsideFolder
from p2re_eval.records import JSON

RENDER_OPTIONS: dict[str, JSON] = {"jinja": 1, "trim_blocks": True, "lstrip_blocks": True}
"""What else decides how a text renders, part of every version; raise ``jinja`` with the rules."""

_MOST_CHARACTERS = 10_000_000
_MOST_BITS = 100_000
_MOST_ROUNDS = 10_000
_PADDING = {"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"}
_WIDE = re.compile(r"[0-9]{7,}")
_TOKENS = re.compile(
    r"""(?P<raw>\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\})
    | (?P<tag>\{\#.*?\#\} | \{%(?:"[^"]*"|'[^']*'|[^"'])*?%\})
    | (?P<value>\{\{(?:"[^"]*"|'[^']*'|[^"'])*?\}\})
    | (?P<end>\n)""",
    re.DOTALL | re.VERBOSE,
)
_INCLUDE = re.compile(r"\{%[-+]?\s*include\b")


class Absent(StrictUndefined):
    """An optional input that was not given: false, empty, not ``defined``, and never printed."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]
        return False

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return iter(())

    def __len__(self) -> int:  # type: ignore[override]
        return 0


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox without autoescape whose text, numbers and loops cannot grow without end."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def preprocess(self, source: str, name: str | None = None, filename: str | None = None) -> str:
        """Keep the blanks and the newline of lines that hold more than tags: Jinja's trim_blocks
        and lstrip_blocks would join ``{% if formal %}Dear{% endif %}`` with the next line."""
        source = super().preprocess(source, name, filename)
        if "%}" not in source and "#}" not in source:
            return source
        return "".join(_kept(line) for line in _lines(source))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse what would fill the memory: ``"x" * 10**9``."""
        if operator == "**":
            _refuse_huge_power(left, right)
        elif operator == "%" and isinstance(left, str):
            _refuse_wide(left, right)
        elif _length(left) or _length(right):
            longest = _length(left) + _length(right)
            if operator == "*":
                factor = right if _length(left) else left
                longest = (_length(left) or _length(right)) * _whole(factor)
            _refuse_long(longest)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Refuse a string's own methods with sizes that would fill the memory."""
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps a string's format
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, str) and name in _PADDING:
            _refuse_wide(owner if name.startswith("format") else "", args)
        return super().call(context, obj, *args, **kwargs)


class _Generator(CodeGenerator):
    """Sends ``~`` through a bounded join; Jinja's own joins whatever it is given."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("environment.filters['bounded join']((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class PartialLoader(BaseLoader):
    """Serves the partials that a template carries: nothing is read while rendering."""

    def __init__(self, partials: Mapping[str, str]) -> None:
        self._partials = partials

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """The partial's text. Raises TemplateNotFound."""
        try:
            path = partial_path(template)
        except OutsideFolder:
            raise TemplateNotFound(template) from None
        if path not in self._partials:
            raise TemplateNotFound(template)
        return self._partials[path], path, None

    def load(
        self,
        environment: Environment,
        name: str,
        globals: Any = None,  # noqa: A002 - Jinja's name
    ) -> Template:
        """The partial, compiled."""
        source, path, _ = self.get_source(environment, name)
        return compile_text(environment, source, name=name, filename=path, names=globals)


def new_environment(
    prepare: Callable[[Environment], None] | None = None,
) -> PromptEnvironment:
    """A fresh environment; ``prepare`` adds the plug-ins' filters and globals."""
    environment = PromptEnvironment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        auto_reload=False,
        cache_size=-1,
        extensions=["jinja2.ext.loopcontrols"],
    )
    environment.code_generator_class = _Generator
    environment.globals.pop("lipsum")
    environment.globals["range"] = _bounded_range
    environment.filters["tojson"] = to_json
    environment.filters["bounded join"] = _bounded_join
    for name in ("center", "indent", "format", "batch", "slice", "wordwrap"):
        environment.filters[name] = _bounded_filter(environment.filters[name])
    if prepare is not None:
        prepare(environment)
    return environment


def compile_text(
    environment: Environment,
    text: str,
    *,
    name: str,
    filename: str | None,
    names: Any = None,
) -> Template:
    """A text without its last newline as a template that follows the rule at the top."""
    code = environment.compile(text, name, filename)
    template = Template.from_code(environment, code, environment.make_globals(names))
    *_, last = _lines(text)
    if all(map(_leaves_nothing, last)):
        template.root_render_func = _unended(template.root_render_func)
    return template


def without_last_newline(text: str) -> str:
    """The text as it is compiled and hashed: ``\\n`` line ends, and none at the very end."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def is_literal(text: str) -> bool:
    """Whether the text has no Jinja in it at all."""
    return "{{" not in text and "{%" not in text and "{#" not in text


def partial_path(name: str) -> str:
    """The partial's path below the prompts folder.

    Raises OutsideFolder when it is absolute or climbs out with ``..``.
    """
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or "\\" in name or ":" in name or ".." in parts or not parts:
        raise OutsideFolder(f"'{name}' leaves the prompts folder; name a file below it")
    return "/".join(parts)


def to_json(
    value: JSON,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    *,
    sort_keys: bool = False,
    ensure_ascii: bool = False,
) -> str:
    """JSON as a model should read it: keys in their order, no HTML escapes, letters as they are."""
    if isinstance(value, Undefined):
        str(value)  # raises what is undefined, by name
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
        default=_plain,
    )


def _plain(value: object) -> JSON:
    if isinstance(value, Namespace):
        raise TypeError("a namespace is not JSON; pass the value it holds")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _lines(source: str) -> Iterator[list[tuple[str, str]]]:
    """The source as lines of (kind, text) tokens; a tag of several lines stays in one."""
    line: list[tuple[str, str]] = []
    position = 0
    for match in _TOKENS.finditer(source):
        if match.start() > position:
            line.append(("text", source[position : match.start()]))
        line.append((match.lastgroup or "", match[0]))
        position = match.end()
        if match.lastgroup == "end":
            yield line
            line = []
    yield [*line, ("text", source[position:])]


def _kept(line: list[tuple[str, str]]) -> str:
    texts = [text for _, text in line]
    if not all(map(_leaves_nothing, line)):
        first = next((i for i, (_, text) in enumerate(line) if text.strip()), 0)
        if line[first][0] in {"tag", "raw"} and texts[first][2] not in "-+":
            texts[first] = f"{texts[first][:2]}+{texts[first][2:]}"
        last = len(line) - 2
        if last >= 0 and line[-1][0] == "end" and line[last][0] in {"tag", "raw"}:
            spans_lines = line[last][0] == "raw" and "\n" in texts[last]
            if texts[last][-3] not in "-+" and not spans_lines:
                texts[last] = f"{texts[last][:-2]}+{texts[last][-2:]}"
    return "".join(texts)


def _leaves_nothing(token: tuple[str, str]) -> bool:
    kind, text = token
    return not text.strip() or (kind == "tag" and not _INCLUDE.match(text))


def _unended(render: Callable[[Context], Iterator[str]]) -> Callable[[Context], Iterator[str]]:
    def root(context: Context, *rest: Any) -> Iterator[str]:
        yield "".join(render(context, *rest)).removesuffix("\n")

    return root


def _bounded_range(*arguments: int) -> range:
    rounds = range(*arguments)
    if len(rounds) > _MOST_ROUNDS:
        raise SecurityError(
            f"a range of more than {_MOST_ROUNDS} items; loop over an input instead"
        )
    return rounds


def _bounded_join(parts: tuple[object, ...]) -> str:
    texts = [str(part) for part in parts]
    _refuse_long(sum(map(len, texts)))
    return "".join(texts)


def _bounded_filter(function: Callable[..., Any]) -> Callable[..., Any]:
    def bounded(*arguments: Any, **options: Any) -> Any:
        format_text = arguments[0] if function.__name__ == "do_format" else ""
        _refuse_wide(str(format_text), (*arguments[1:], *options.values()))
        return function(*arguments, **options)

    # Jinja marks filters that want the environment or the context by attributes.
    bounded.__dict__.update(function.__dict__)
    return bounded


def _refuse_huge_power(left: Any, right: Any) -> None:
    whole = isinstance(left, int) and isinstance(right, int)
    if whole and left.bit_length() * max(right, 0) > _MOST_BITS:
        raise SecurityError("a number with too many digits; compute it outside the template")


def _refuse_wide(format_text: str, arguments: Any) -> None:
    given = arguments if isinstance(arguments, tuple) else (arguments,)
    if _WIDE.search(format_text) or any(_whole(value) > _MOST_CHARACTERS for value in given):
        _refuse_long(_MOST_CHARACTERS + 1)


def _refuse_long(length: int) -> None:
    if length > _MOST_CHARACTERS:
        raise SecurityError(f"a value longer than {_MOST_CHARACTERS} characters or items")


def _length(value: object) -> int:
    return len(value) if isinstance(value, (str, list, tuple)) else 0


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
