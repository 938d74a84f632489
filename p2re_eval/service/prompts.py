"""Prompts as the record knows them: templates, versions, labels and their history."""

from __future__ import annotations

from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    GitError,
    NoSuchRecord,
    NotAllowed,
    UsageError,
)
from p2re_eval.records import PromptTemplate
from p2re_eval.service.contracts import Page, VersionDetail, cursor_number, next_by_id, page_size
from p2re_eval.service.revisions import NO_PROJECT, NUMBER, Revisions
from p2re_eval.store import Store, prompt_queries
from p2re_eval.store.prompt_queries import LabelMove, TemplateRow, VersionRow
from p2re_eval.store.stat_queries import ScoreRow, StatsReport, StatsRow


class MeasuredVersion(VersionRow):
    """A version and what it came to, over all sources; ``used`` is None where it never ran."""

    used: StatsRow | None = None
    scores: tuple[ScoreRow, ...] = ()
    checks_passed: float | None = None


def measured(versions: Page[VersionRow], report: StatsReport) -> Page[MeasuredVersion]:
    """Versions with their share of statistics that were counted by version."""
    used = {row.key["version"]: row for row in report.rows}
    found = []
    for row in versions.items:
        scores = tuple(one for one in report.scores if one.key["version"] == row.version)
        decided = sum(one.passed + one.failed for one in scores)
        found.append(
            MeasuredVersion(
                **row.model_dump(),
                used=used.get(row.version),
                scores=scores,
                checks_passed=sum(one.passed for one in scores) / decided if decided else None,
            )
        )
    return Page(items=tuple(found), next_cursor=versions.next_cursor, note=versions.note)


class Prompts:
    """Every prompt of a store; ``revisions`` say what git calls its versions."""

    def __init__(self, store: Store, revisions: Revisions = NO_PROJECT) -> None:
        self._store = store
        self._revisions = revisions

    def list(
        self, *, text: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[TemplateRow]:
        """By name, in which ``text`` is looked for; the cursor is the last name."""
        size = page_size(limit)
        rows = self._store.read(
            lambda connection: prompt_queries.list_templates(
                connection, limit=size, after=cursor, text=text
            )
        )
        more = rows[-1].name if len(rows) == size else None
        return Page(items=tuple(rows), next_cursor=more)

    def versions(
        self, name: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[VersionRow]:
        """The newest recorded first. Raises NoSuchRecord."""
        size, before = page_size(limit), cursor_number(cursor)
        rows = self._store.read(
            lambda connection: prompt_queries.list_versions(
                connection, name, self._store.path, limit=size, before=before
            )
        )
        numbers = self._revisions.numbers(name)
        return Page(
            items=tuple(_numbered(row, numbers) for row in rows),
            next_cursor=next_by_id([row.id for row in rows], size),
        )

    def get(self, name: str, version: str = "latest") -> VersionDetail:
        """A recorded version by ``latest`` (the last that was recorded first), a label, the
        beginning of its hash, or what git knows: ``v3``, a branch, a tag, a commit.

        Raises NoSuchRecord, StoreError (ambiguous), GitError (no such number).
        """
        row = self._find(name, version)
        template = self._store.read(
            lambda connection: prompt_queries.read_template(connection, row)
        )
        return VersionDetail(row=row, template=template)

    def save(self, template: PromptTemplate) -> VersionRow:
        """Record a version; one that is known stays as it is: versions never change."""
        self._store.save_prompt_version(template).result()
        return self._find(template.name, template.version)

    def label(self, name: str, label: str, version: str) -> VersionRow:
        """Move a label (``production``) to a version; one that only git knows is recorded then.

        Raises NoSuchRecord, UsageError, GitError (no such number).
        """
        _check_label(label)
        try:
            row = self._find(name, version)
        except NoSuchRecord:
            row = self._recorded_from_git(name, version)
        self._store.change(lambda change: prompt_queries.move_label(change, row, label))
        return self._find(name, label)

    def unlabel(self, name: str, label: str) -> None:
        """Take a label away. Raises NoSuchRecord when no version has it."""
        row = self._find(name, label)
        if label not in row.labels:
            raise UsageError(f"'{label}' is no label of '{name}'; labels: {', '.join(row.labels)}")
        self._store.change(lambda change: prompt_queries.remove_label(change, row, label))

    def label_history(self, name: str, label: str | None = None) -> tuple[LabelMove, ...]:
        """Where the labels went, the newest move first. Raises NoSuchRecord."""
        path = self._store.path
        return tuple(
            self._store.read(
                lambda connection: prompt_queries.label_history(connection, name, path, label)
            )
        )

    def delete(self, name: str, version: str = "latest") -> None:
        """Raises NotAllowed, or NoSuchRecord where there is none."""
        row = self._find(name, version)
        raise NotAllowed(
            f"the version {row.short_version} of '{name}' stays: runs were made with it; take its "
            "labels away, delete the runs, or change the file and record a new version"
        )

    def _find(self, name: str, version: str) -> VersionRow:
        if NUMBER.fullmatch(version):
            row = self._by_number(name, version)
        else:
            try:
                row = self._look_up(name, version)
            except NoSuchRecord:
                row = self._by_revision(name, version)
        return _numbered(row, self._revisions.numbers(name))

    def _look_up(self, name: str, version: str) -> VersionRow:
        path = self._store.path
        return self._store.read(
            lambda connection: prompt_queries.find_version(connection, name, version, path)
        )

    def _by_number(self, name: str, number: str) -> VersionRow:
        template = self._revisions.template(name, number)
        if template is not None:
            return self._look_up(name, template.version)
        raise NoSuchRecord(
            f"{self._store.path}: '{number}' is the number of a version in git, and no project is "
            f"looked at here; give a label, 'latest', or the beginning of a version's hash",
            path=self._store.path,
        )

    def _by_revision(self, name: str, version: str) -> VersionRow:
        """What git knows by this name, as it was recorded. Raises the record's NoSuchRecord."""
        template = self._in_git(name, version)
        return self._look_up(name, version if template is None else template.version)

    def _recorded_from_git(self, name: str, version: str) -> VersionRow:
        template = self._in_git(name, version)
        return self._find(name, version) if template is None else self.save(template)

    def _in_git(self, name: str, version: str) -> PromptTemplate | None:
        try:
            return self._revisions.template(name, version)
        except (GitError, DefinitionError, DefinitionErrors):
            return None


def _numbered(row: VersionRow, numbers: dict[str, int]) -> VersionRow:
    return row.model_copy(update={"number": numbers.get(row.version)})


def _check_label(label: str) -> None:
    """A label must not read like a version: ``v3``, ``latest``, digits of a hash."""
    like_number = label[:1] == "v" and label[1:].isdecimal()
    like_hash = len(label) >= 7 and all(digit in "0123456789abcdef" for digit in label)
    sound = label.replace("-", "").replace("_", "").replace(".", "").isalnum()
    if like_number or like_hash or label == "latest" or not sound:
        raise UsageError(
            f"'{label}' cannot be a label: use letters, digits, '-', '_' and '.', and nothing that "
            "reads like a version (v3, latest, a hash)"
        )
