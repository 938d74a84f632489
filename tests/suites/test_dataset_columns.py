"""What a suite may say about a dataset: which columns mean what, and how many rows to take."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.records import Case

CSV = "ticket_no,body,lang,team,labels,customer,id\nT1,hello,en,a,x;y,c1,9\nT2,bye,de,b,,c2,8\n"


def first(project: Any, dataset: str, name: str = "d.csv", content: str = CSV) -> Case:
    project.write(f"suites/{name}", content)
    case: Case = project.load(f"prompt: p\ndataset:\n  path: {name}\n{dataset}").cases[0]
    return case


def test_columns_can_be_mapped(project: Any) -> None:
    """Each field from the column that the suite names; unnamed columns stay inputs."""
    case = first(project, "  id: ticket_no\n  expected: team\n  tags: labels\n  cluster: customer")
    assert (case.id, case.expected, case.tags, case.cluster) == ("T1", "a", ("x", "y"), "c1")
    assert case.inputs == {"body": "hello", "lang": "en", "id": "9"}


def test_inputs_can_be_listed(project: Any) -> None:
    """Then columns that nothing mentions are left out."""
    case = first(project, "  inputs: [body]\n  metadata: [lang]")
    assert (case.id, case.inputs, case.metadata) == ("9", {"body": "hello"}, {"lang": "en"})


def test_inputs_can_be_renamed(project: Any) -> None:
    """The prompt's name first, the column's second; one column may serve twice."""
    case = first(project, "  inputs: {ticket: body, said: body}\n  metadata: {language: lang}")
    assert case.inputs == {"ticket": "hello", "said": "hello"}
    assert case.metadata == {"language": "en"}


def test_json_lines_can_be_mapped(project: Any) -> None:
    """Keys are columns; their values keep their types."""
    case = first(
        project,
        "  id: no\n  inputs: {ticket: text}\n  expected: label",
        "d.jsonl",
        '{"no": 7, "text": ["a"], "label": {"team": "x"}, "inputs": {"left": "out"}}\n',
    )
    assert (case.id, case.inputs, case.expected) == ("7", {"ticket": ["a"]}, {"team": "x"})


def test_yaml_rows_can_be_mapped(project: Any) -> None:
    """The same for a list of mappings in YAML."""
    case = first(
        project, "  inputs: [text]\n  expected: label", "d.yaml", "- {text: a, label: b, x: 1}\n"
    )
    assert (case.inputs, case.expected) == ({"text": "a"}, "b")


@pytest.mark.parametrize(
    ("name", "content"), [("d.jsonl", '{"text": 1}\n'), ("d.yaml", "- {text: 1}\n")]
)
def test_a_column_that_no_row_has(project: Any, name: str, content: str) -> None:
    """Said once for the file, with what there is."""
    project.write(f"suites/{name}", content)
    assert project.mistakes(f"prompt: p\ndataset: {{path: {name}, expected: texts}}") == [
        f"suites/{name}: the suite asks for the column 'texts', which is not here; "
        "did you mean 'text'?"
    ]


def test_a_yaml_dataset_is_a_list_of_cases(project: Any) -> None:
    """As written in a suite, with places to the column and any scorer of their own."""
    project.write(
        "suites/d.yaml", "- id: a\n  inputs: {t: x}\n  scorers: [contains: y]\n- inputs: {t: z}\n"
    )
    one, two = project.load("prompt: p\ndataset: d.yaml").cases
    assert (one.id, str(one.place), str(one.scorers[0].place)) == (
        "a",
        "suites/d.yaml:1:3",
        "suites/d.yaml:3:13",
    )
    assert (two.id, two.inputs) == ("row-0002", {"t": "z"})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: 1", "suites/d.yaml:1:1: a dataset is a list of cases; start each with '- inputs:'"),
        ("", "suites/d.yaml:1:1: a dataset is a list of cases; start each with '- inputs:'"),
        ("- {input: {}}", "suites/d.yaml:1:4: unknown key 'input'; did you mean 'inputs'?"),
        ("- 3", "suites/d.yaml:1:3: this must be a mapping, found the number 3"),
        ("- a: b: c", "suites/d.yaml:1:7: a ':' where no key can be"),
        ("- id: a\n- id: a", "suites/d.yaml:2:7: the case id 'a' is taken by the case at"),
    ],
)
def test_mistakes_of_a_yaml_dataset(project: Any, content: str, expected: str) -> None:
    """At their own line and column."""
    project.write("suites/d.yaml", content)
    (mistake,) = project.mistakes("prompt: p\ndataset: d.yaml")
    assert mistake.startswith(expected)


# --- limit and seed ------------------------------------------------------------------------------

HUNDRED = "t\n" + "".join(f"{n}\n" for n in range(100))


def ids(project: Any, options: str) -> list[str]:
    project.write("suites/d.csv", HUNDRED)
    suite = project.load(f"prompt: p\ndataset: {{path: d.csv, {options}}}")
    return [case.id for case in suite.cases]


def test_a_limit_takes_the_first_rows(project: Any) -> None:
    """And does not read on: what comes later is not looked at."""
    assert ids(project, "limit: 2") == ["row-0001", "row-0002"]
    assert len(ids(project, "limit: 1000")) == 100
    project.write("suites/d.csv", "t\n1\n2\n3,4,5\n")
    assert len(project.load("prompt: p\ndataset: {path: d.csv, limit: 2}").cases) == 2


def test_a_seed_chooses_the_same_rows_every_time(project: Any) -> None:
    """In file order, each with the id it has in the whole file."""
    chosen = ids(project, "limit: 5, seed: 1")
    assert chosen == ["row-0010", "row-0014", "row-0021", "row-0036", "row-0092"]
    assert ids(project, "limit: 5, seed: 1") == chosen
    assert ids(project, "limit: 5, seed: 2") != chosen
    assert len(ids(project, "limit: 1000, seed: 2")) == 100


def test_a_seed_without_a_limit_chooses_nothing(project: Any) -> None:
    """So it is a mistake."""
    project.write("suites/d.csv", HUNDRED)
    assert project.mistakes("prompt: p\ndataset: {path: d.csv, seed: 1}") == [
        "suites/s.yaml:2:24: `seed:` chooses the rows that `limit:` keeps; add `limit:`"
    ]
