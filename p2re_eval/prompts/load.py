"""From a YAML file to a PromptTemplate, with every mistake that can be seen before rendering."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from jinja2 import Environment

from p2re_eval.documents import Document, read_document
from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    DuplicateKey,
    MissingFile,
    MissingValue,
    OutsideFolder,
    UnknownName,
    WrongType,
)
from p2re_eval.explain import Step, did_you_mean
from p2re_eval.prompts.facts import Facts, Finding, examine
from p2re_eval.prompts.format import MessageEntry, PartEntry, PromptFile
from p2re_eval.prompts.images import image_bytes, is_address
from p2re_eval.prompts.inputs import Declared, InputChecker, unknown_keywords, value_schema
from p2re_eval.prompts.places import block_place, line_place, text_place
from p2re_eval.prompts.reach import Partials
from p2re_eval.prompts.sandbox import is_literal, without_last_newline
from p2re_eval.prompts.sources import Source
from p2re_eval.prompts.versions import version_of
from p2re_eval.records import (
    JSON,
    Example,
    ModelSettings,
    Place,
    PromptTemplate,
    TemplateMessage,
    TemplatePart,
)

_MOST_FACTS = 4096
_ROLES = MessageEntry.model_fields.keys() - {"history"}


@dataclass
class Loader:
    """Reads prompt files; what it learned about a text or a schema serves the next file."""

    environment: Environment
    checker: InputChecker
    _facts: dict[str, Facts] = field(default_factory=dict)

    def load(self, source: Source, path: str) -> PromptTemplate:
        """The prompt in this file. Raises DefinitionErrors with every mistake in it."""
        text = source.read(path)
        if text is None:
            what = "there is no such file; check the name"
            raise DefinitionErrors([MissingFile(what, path=source.shown(path))])
        document = read_document(source.shown(path), text)
        if not isinstance(document.value, dict):
            what = "a prompt file is a mapping with 'messages'; see `p2re schema`"
            raise DefinitionErrors([document.mistake(WrongType, what)])
        try:
            file = document.parse(PromptFile)
        except DefinitionErrors as error:
            raise DefinitionErrors(
                _in_order([*error.errors, *self._text_mistakes(document, text)])
            ) from None
        return _Loading(self, source, document, text, file).template(PurePosixPath(path).stem)

    def _text_mistakes(self, document: Document, raw: str) -> Iterator[DefinitionError]:
        """What is wrong with the texts themselves, whatever else is wrong with the file."""
        for steps, text in _texts_of(document.value):
            for finding in self.facts(without_last_newline(text)).findings:
                yield _mistake(
                    finding,
                    text_place(document, raw, steps, line=finding.line, word=finding.word),
                )

    def facts(self, text: str) -> Facts:
        """What :func:`examine` says about a text."""
        if text not in self._facts:
            if len(self._facts) >= _MOST_FACTS:
                self._facts.clear()
            self._facts[text] = examine(self.environment, text)
        return self._facts[text]


def prompt_name(source: Source, path: str) -> str:
    """The name that a file gives its prompt; of a broken file, its stem."""
    stem = PurePosixPath(path).stem
    try:
        text = source.read(path)
        value = read_document(path, text).value if text and "name" in text else None
    except (DefinitionErrors, OutsideFolder):
        return stem
    name = value.get("name") if isinstance(value, dict) else None
    return name if isinstance(name, str) and name else stem


def _texts_of(value: dict[str, JSON]) -> Iterator[tuple[tuple[Step, ...], str]]:
    """The messages' texts in a file of which nothing else need be right."""
    if isinstance(value.get("prompt"), str):
        yield ("prompt",), value["prompt"]
    messages = value.get("messages")
    for index, entry in enumerate(messages if isinstance(messages, list) else ()):
        for role, text in entry.items() if isinstance(entry, dict) else ():
            if role in _ROLES and isinstance(text, str):
                yield ("messages", index, role), text


@dataclass(frozen=True)
class _Text:
    """One Jinja text of the file: where it stands and what is in it."""

    steps: tuple[Step, ...]
    facts: Facts


class _Loading:
    """One file on its way to a template; collects mistakes instead of stopping at the first."""

    def __init__(
        self, loader: Loader, source: Source, document: Document, raw: str, file: PromptFile
    ) -> None:
        self._loader = loader
        self._source = source
        self._document = document
        self._raw = raw
        self._file = file
        self._mistakes: list[DefinitionError] = []
        self._partials = Partials(source, loader.facts)
        self._texts: list[list[_Text]] = []

    def template(self, stem: str) -> PromptTemplate:
        """The template. Raises DefinitionErrors."""
        file = self._file
        name = file.name or stem
        messages = tuple(self._messages())
        declared = Declared.by(name, file.inputs, messages)
        self._check_model()
        self._check_inputs(declared)
        self._check_schemas()
        self._check_texts(declared)
        self._check_histories(messages)
        self._check_examples(declared, messages)
        if self._mistakes:
            raise DefinitionErrors(_in_order(self._mistakes))
        template = PromptTemplate(
            name=name,
            version="",
            description=file.description,
            model=file.model,
            inputs=file.inputs,
            messages=messages,
            examples=tuple(Example(inputs=e.inputs, output=e.output) for e in file.examples),
            output_schema=file.output.json_schema if file.output else None,
            tools=file.tools,
            partials=self._partials.texts,
            path=str(self._document.path),
            commit=self._source.commit,
        )
        return template.model_copy(update={"version": version_of(template)})

    # --- messages ---

    def _messages(self) -> Iterator[TemplateMessage]:
        if self._file.prompt is not None:
            yield self._text_message("user", self._file.prompt, ("prompt",))
        elif not self._file.messages:
            what = "a prompt needs 'messages' (or 'prompt' for a single user message); add them"
            at = ("messages",) if "messages" in self._document.value else ()
            self._mistakes.append(self._document.mistake(MissingValue, what, *at))
        for index, entry in enumerate(self._file.messages):
            role = next(iter(entry.model_fields_set))
            yield self._message(entry, role, ("messages", index, role))

    def _message(self, entry: MessageEntry, role: str, steps: tuple[Step, ...]) -> TemplateMessage:
        content = getattr(entry, role)
        if role == "history":
            self._texts.append([])
            return TemplateMessage(history=content, place=self._document.place(*steps))
        if isinstance(content, str):
            return self._text_message(role, content, steps)
        if not content:
            self._empty(steps)
        self._texts.append([])
        parts = tuple(self._part(part, (*steps, i)) for i, part in enumerate(content))
        place = self._document.place(*steps)
        return TemplateMessage.model_validate({"role": role, "content": parts, "place": place})

    def _text_message(self, role: str, content: str, steps: tuple[Step, ...]) -> TemplateMessage:
        self._texts.append([])
        return TemplateMessage.model_validate(
            {
                "role": role,
                "content": self._text(content, steps),
                "place": block_place(self._document, steps),
            }
        )

    def _part(self, part: PartEntry, steps: tuple[Step, ...]) -> TemplatePart:
        if part.text is not None:
            return TemplatePart(text=self._text(part.text, (*steps, "text")))
        image = self._text(part.image or "", (*steps, "image")).strip()
        if image and is_literal(image) and not is_address(image):
            try:
                image_bytes(image, self._source.read_image)
            except DefinitionError as error:
                self._note(type(error), error.what, *steps, "image")
        return TemplatePart(image=image, detail=part.detail)

    def _text(self, content: str, steps: tuple[Step, ...]) -> str:
        text = without_last_newline(content)
        if not text.strip():
            self._empty(steps)
        elif not is_literal(text):
            self._texts[-1].append(_Text(steps, self._loader.facts(text)))
        return text

    def _empty(self, steps: Sequence[Step]) -> None:
        self._note(MissingValue, "this message is empty; write its text or remove it", *steps)

    # --- texts and partials ---

    def _check_texts(self, declared: Declared) -> None:
        texts = [text for message in self._texts for text in message]
        for text in texts:
            self._note_findings(text)
        reached = dict(self._partials.reach([text.facts for text in texts]))
        self._mistakes += self._partials.mistakes
        stored = {name for text in texts for name in text.facts.stored}
        stored |= {name for facts in reached.values() for name in facts.stored}
        for (path, _), facts in reached.items():
            for finding in (*facts.findings, *self._partials.missing(facts)):
                self._note_in_partial(path, finding)
        for text in texts:
            for finding in self._undeclared(text.facts, declared, stored=text.facts.assigned):
                self._note_at(text.steps, finding)
        for (path, sees_inputs), facts in reached.items():
            found = self._undeclared(facts, declared, stored=stored, sees_inputs=sees_inputs)
            for finding in found:
                self._note_in_partial(path, finding)
        if not self._mistakes:
            self._check_unused(declared, [text.facts for text in texts])

    def _note_findings(self, text: _Text) -> None:
        for finding in (*text.facts.findings, *self._partials.missing(text.facts)):
            self._note_at(text.steps, finding)

    def _undeclared(
        self,
        facts: Facts,
        declared: Declared,
        *,
        stored: frozenset[str] | set[str],
        sees_inputs: bool = True,
    ) -> Iterator[Finding]:
        known = {*self._loader.environment.globals, *facts.assigned}
        if sees_inputs:
            known |= {*declared.schemas, *stored}
        for name, line in facts.needed.items():
            if name in known:
                continue
            if name in declared.schemas:
                what = (
                    f"an imported partial does not see the input '{name}'; hand it to the macro, "
                    "or import the partial `with context`"
                )
            else:
                hint = did_you_mean(name, declared.schemas)
                hint = hint if "did you mean" in hint else "; declare it under 'inputs'"
                what = f"'{name}' is not an input of the prompt '{declared.prompt}'{hint}"
            yield Finding(UnknownName, what, line, name)

    def _names_used(self, texts: Sequence[Facts]) -> set[str]:
        used = {name for facts in texts for name in facts.needed}
        for (_, sees_inputs), facts in self._partials.reach(texts):
            used |= set(facts.needed) if sees_inputs else set()
        return used

    def _check_unused(self, declared: Declared, texts: Sequence[Facts]) -> None:
        used = self._names_used(texts) | declared.histories
        for name in declared.schemas:
            if name not in used:
                what = (
                    f"no message uses the input '{name}'; write {{{{ {name} }}}} where it belongs "
                    "or remove it (what only scorers need goes into a case's `metadata`)"
                )
                self._note(UnknownName, what, "inputs", name, key=True)

    # --- inputs, schemas, examples ---

    def _check_inputs(self, declared: Declared) -> None:
        for name, entry in declared.schemas.items():
            for key, what in unknown_keywords(entry):
                self._note(UnknownName, what, "inputs", name, key, key=True)
            if not self._is_schema(value_schema(entry), "inputs", name):
                continue
            if "default" in entry:
                checker = self._loader.checker
                for problem in checker.value_problems(name, entry["default"], declared):
                    what = f"the default of {problem.what}"
                    self._note(problem.kind, what, "inputs", name, "default", *problem.steps[1:])

    def _check_model(self) -> None:
        """The settings again, more strictly: a number in quotes would change its type unseen."""
        settings = self._document.value.get("model")
        if isinstance(settings, dict):
            try:
                self._document.parse(ModelSettings, settings, "model", strict=True)
            except DefinitionErrors as error:
                self._mistakes += error.errors

    def _check_schemas(self) -> None:
        if self._file.output:
            self._is_schema(self._file.output.json_schema, "output", "schema")
        names: set[str] = set()
        for index, tool in enumerate(self._file.tools):
            if tool.name in names:
                what = f"a second tool '{tool.name}'; rename one of the two"
                self._note(DuplicateKey, what, "tools", index, "name")
            names.add(tool.name)
            self._is_schema(tool.parameters, "tools", index, "parameters")

    def _is_schema(self, schema: object, *steps: Step) -> bool:
        problem = self._loader.checker.schema_problem(schema)
        if problem is not None:
            self._note(WrongType, f"not a JSON Schema: {problem[0]}", *steps, *problem[1])
        return problem is None

    def _check_histories(self, messages: Sequence[TemplateMessage]) -> None:
        for index, message in enumerate(messages):
            if message.history is not None and message.history not in self._file.inputs:
                hint = did_you_mean(message.history, self._file.inputs)
                what = f"'{message.history}' is not an input{hint}"
                self._note(UnknownName, what, "messages", index, "history")

    def _check_examples(self, declared: Declared, messages: Sequence[TemplateMessage]) -> None:
        if not self._file.examples or self._mistakes:
            return
        last = last_user_message(messages)
        if last is None:
            what = "examples stand before the last user message, and there is none; add one"
            self._note(MissingValue, what, "examples", key=True)
            return
        used = self._names_used([text.facts for text in self._texts[last]])
        for index, example in enumerate(self._file.examples):
            needed = declared.required & used
            for problem in self._loader.checker.problems(declared, example.inputs, needed=needed):
                at_key = problem.kind is UnknownName
                steps = ("examples", index, "inputs", *problem.steps)
                self._note(problem.kind, problem.what, *steps, key=at_key)

    # --- mistakes ---

    def _note(
        self, kind: type[DefinitionError], what: str, *steps: Step, key: bool = False
    ) -> None:
        self._mistakes.append(self._document.mistake(kind, what, *steps, key=key))

    def _note_at(self, steps: Sequence[Step], finding: Finding) -> None:
        place = text_place(self._document, self._raw, steps, line=finding.line, word=finding.word)
        self._mistakes.append(_mistake(finding, place))

    def _note_in_partial(self, path: str, finding: Finding) -> None:
        text = self._partials.text(path) or ""
        shown = self._source.shown(path)
        place = line_place(shown, text, line=finding.line, word=finding.word)
        self._mistakes.append(_mistake(finding, place))


def last_user_message(messages: Sequence[TemplateMessage]) -> int | None:
    """The index of the last user message, which examples stand before."""
    users = [index for index, message in enumerate(messages) if message.role == "user"]
    return users[-1] if users else None


def _mistake(finding: Finding, place: Place) -> DefinitionError:
    return finding.kind(finding.what, path=place.path, line=place.line, column=place.column)


def _in_order(mistakes: Sequence[DefinitionError]) -> list[DefinitionError]:
    unique = {str(mistake): mistake for mistake in mistakes}
    return sorted(unique.values(), key=lambda m: (str(m.path), m.line, m.column))
