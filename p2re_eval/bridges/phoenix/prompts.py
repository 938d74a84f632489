"""Prompt versions and labels kept in step with Phoenix's versions and tags; none is made twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from p2re_eval.bridges.phoenix.course import CONFLICT, LABEL, PROMPT, Course
from p2re_eval.bridges.phoenix.templates import (
    Unconvertible,
    name_there,
    template_of,
    version_named,
    version_there,
)
from p2re_eval.errors import NoSuchRecord, Refused
from p2re_eval.records import JSON
from p2re_eval.service.prompts import Prompts
from p2re_eval.store import Mark
from p2re_eval.store.prompt_queries import VersionRow

_EVERY = 1_000_000


class PromptSync:
    """Prompts are the server's, not a project's: every project's sync sees the same ones."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._prompts = Prompts(course.store)
        marks = course.ledger.marked(PROMPT, "SYNCED", limit=_EVERY)
        self._here_of = {mark.remote_id: mark.local_id for mark in marks}
        self._there_of = {mark.local_id: mark.remote_id for mark in marks}
        self._fresh: dict[str, list[str]] = {}

    async def run(self) -> None:
        """Their versions first, so that ours which are there already are recognised."""
        there = await self._course.phoenix.items("/v1/prompts")
        names: dict[str, str] = {}
        for prompt in there:
            own = (prompt.get("metadata") or {}).get("p2re")
            name = str(own["name"]) if isinstance(own, Mapping) else str(prompt["name"])
            names[name] = str(prompt["name"])
            await self._take_over(name, str(prompt["name"]))
        if self._course.push:
            for name in self._names():
                await self._send(name)
                names.setdefault(name, name_there(name))
        for name, remote in names.items():
            await self._labels(name, remote)

    def _names(self) -> Iterator[str]:
        cursor = None
        while True:
            page = self._prompts.list(limit=100, cursor=cursor)
            yield from (row.name for row in page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    def _versions(self, name: str) -> list[VersionRow]:
        """The oldest first; a prompt that is not here has none."""
        found: list[VersionRow] = []
        cursor = None
        while True:
            try:
                page = self._prompts.versions(name, limit=100, cursor=cursor)
            except NoSuchRecord:
                return []
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found[::-1]

    async def _take_over(self, name: str, remote: str) -> None:
        versions = await self._course.phoenix.items(f"/v1/prompts/{quote(remote)}/versions")
        known = {row.version for row in self._versions(name)}
        for one in reversed(versions):
            if str(one["id"]) in self._here_of:
                continue
            self._fresh.setdefault(name, []).append(str(one["id"]))
            version = version_named(one)
            if version is not None and version in known:
                await self._agree(name, version, str(one["id"]))
            elif self._course.pull:
                await self._import(name, one, known)

    async def _import(self, name: str, there: JSON, known: set[str]) -> None:
        course, remote_id = self._course, str(there["id"])
        try:
            template = template_of(name, there)
        except Unconvertible as why:
            if remote_id not in course.ledger.marks("their prompt", [remote_id]):
                course.outcome.notes.append(f"prompt {name}: a version was not imported: {why}")
                detail = {"why": str(why)}
                mark = Mark(kind="their prompt", local_id=remote_id, status="FAILED", detail=detail)
                await course.save(marks=[mark])
            return
        template = template.model_copy(update={"name": name})
        if template.version not in known:
            course.outcome.add("prompts_pulled")
            if not course.dry:
                self._prompts.save(template)
            known.add(template.version)
        await self._agree(name, template.version, remote_id)

    async def _send(self, name: str) -> None:
        course = self._course
        for row in self._versions(name):
            if _id(name, row.version) in self._there_of:
                continue
            if course.dry:
                course.outcome.add("prompts_pushed")
                continue
            template = self._prompts.get(name, row.version).template
            prompt = {
                "name": name_there(name),
                "description": template.description,
                "metadata": {"p2re": {"name": name}},
            }
            body = {"prompt": prompt, "version": version_there(template)}
            try:
                answer = await course.phoenix.peer.post("/v1/prompts", body)
            except Refused as error:
                if not error.is_about_content:
                    raise
                course.outcome.fail("prompt", _id(name, row.short_version), str(error))
                self._there_of[_id(name, row.version)] = None
                continue
            course.outcome.add("prompts_pushed")
            await self._agree(name, row.version, str(answer.json["data"]["id"]))

    async def _agree(self, name: str, version: str, remote_id: str) -> None:
        """Several versions there may be one here; the first of them is the one that is known."""
        local = _id(name, version)
        self._here_of[remote_id] = local
        if local in self._there_of:
            return
        self._there_of[local] = remote_id
        mark = Mark(kind=PROMPT, local_id=local, status="SYNCED", remote_id=remote_id)
        await self._course.save(marks=[mark])

    async def _labels(self, name: str, remote: str) -> None:
        """Each label against the tag of its name, and against where both were last."""
        here = {label: row.version for row in self._versions(name) for label in row.labels}
        labels = {*here, *await self._tags(name)}
        marks = self._course.ledger.marks(LABEL, [f"{name}:{label}" for label in labels])
        for label in sorted(labels):
            mark = marks.get(f"{name}:{label}")
            agreed = None if mark is None else mark.digest
            there = await self._tagged(name, remote, label)
            await self._settle(name, label, here.get(label), there, agreed)

    async def _tags(self, name: str) -> set[str]:
        """Labels that are only there are looked for on the newest version, and on what was seen
        for the first time now."""
        rows = self._versions(name)
        newest = self._there_of.get(_id(name, rows[-1].version)) if rows else None
        found: set[str] = set()
        for remote_id in {*self._fresh.get(name, ()), newest} - {None}:
            tags = await self._course.phoenix.items(f"/v1/prompt_versions/{remote_id}/tags")
            found |= {str(tag["name"]) for tag in tags}
        return found

    async def _tagged(self, name: str, remote: str, label: str) -> str | None:
        path = f"/v1/prompts/{quote(remote)}/tags/{quote(name_there(label))}"
        answer = await self._course.phoenix.peer.get(path, accept=(404,))
        if answer.status == 404:
            return None
        local = self._here_of.get(str(answer.json["data"]["id"]), "")
        return local.removeprefix(f"{name}@") or None

    async def _settle(
        self, name: str, label: str, here: str | None, there: str | None, agreed: str | None
    ) -> None:
        course = self._course
        if here == there:
            if here is not None and here != agreed:
                await self._mark_label(name, label, here)
        elif here is not None and there in (agreed, None):
            if course.push and _id(name, here) in self._there_of:
                await self._tag(name, label, here)
        elif there is not None and course.pull:
            if here not in (agreed, None):
                course.outcome.add("conflicts")
                detail = {"here": here, "there": there, "stands": "there"}
                conflict = Mark(
                    kind=CONFLICT, local_id=f"{name}:{label}", status="CONFLICT", detail=detail
                )
                await course.save(marks=[conflict])
            course.outcome.add("labels_moved")
            if not course.dry:
                self._prompts.label(name, label, there)
                await self._mark_label(name, label, there)

    async def _tag(self, name: str, label: str, version: str) -> None:
        course = self._course
        course.outcome.add("labels_moved")
        if course.dry:
            return
        remote_id = self._there_of[_id(name, version)]
        await course.phoenix.peer.post(
            f"/v1/prompt_versions/{remote_id}/tags", {"name": name_there(label)}
        )
        await self._mark_label(name, label, version)

    async def _mark_label(self, name: str, label: str, version: str) -> None:
        mark = Mark(kind=LABEL, local_id=f"{name}:{label}", status="SYNCED", digest=version)
        await self._course.save(marks=[mark])


def _id(name: str, version: str) -> str:
    return f"{name}@{version}"
