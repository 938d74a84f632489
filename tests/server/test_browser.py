"""The web app in a real browser: every page, the keyboard, small and large screens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.online import Online
from p2re_eval.online.assigning import Desk
from p2re_eval.records import Evaluation, Experiment, GateVerdict, Result, Score, Variant
from p2re_eval.store import Mark, Position, Store, open_store

AGENT = f"{0xA9E17:032x}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: Any, request: Any) -> Iterator[Any]:
    """A server over a database with a little of everything."""
    tools = request.config.pluginmanager.get_plugin(str(Path(__file__).parent / "conftest.py"))
    folder = tmp_path_factory.mktemp("world")
    (folder / "prompts").mkdir()
    (folder / "prompts" / "route.yaml").write_text(
        'model: {provider: scripted, name: router, extra: {answers: {".*": billing}}}\n'
        "inputs: {ticket: {type: string, description: What they wrote.}}\n"
        'messages: [{user: "Route: {{ ticket }}"}]\n'
    )
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(open_store(folder / "p2re.db"))
        fill(tools.Record(store), store)
        app = tools.create_app(store, root=folder, access=tools.Access(write_files=True))
        yield tools.Served(stack.enter_context(tools.running(app)), store)


def fill(record: Any, store: Any) -> None:
    version = record.version("Route: {{ ticket }}")
    record.version("Route it: {{ ticket }}")
    for number in range(30):
        trace = record.trace(
            "billing" if number % 3 else "account",
            session_id=f"chat-{number % 3}" if number % 2 else None,
            prompt={"version": version.version},
            tags=("web",),
        )
        record.evaluation(trace, "equals", passed=bool(number % 3))
        if number < 12:
            judged(store, trace.trace_id, number)
    record.trace(None, model="local/tiny")
    record.agent(spans=12)
    for number, outcome in enumerate(("passed", "failed")):
        experiment = Experiment(
            experiment_id=f"{number + 1}" * 32,
            name="nightly",
            started_ns=1 + number,
            suites=("suites/a.yaml",),
        )
        store.start_experiment(experiment)
        trace = record.trace(outcome)
        result = Result(
            experiment_id=experiment.experiment_id,
            item="i",
            suite="suites/a.yaml",
            prompt="route",
            model="openai/gpt-5-mini",
            case_id="charged-twice",
            outcome=outcome,  # type: ignore[arg-type]
            value=float(outcome == "passed"),
            trace_id=trace.trace_id,
            inputs_preview='{"ticket": "I was charged twice."}',
            output_preview=outcome,
        )
        store.save_result(result, []).result()
        verdict = GateVerdict(
            gate="pass_rate >= 0.9", suite="suites/a.yaml", passed=not number, explanation="so"
        )
        ended = experiment.model_copy(update={"status": "COMPLETE", "verdicts": (verdict,)})
        store.finish_experiment(ended)
    variants = [Variant(name="old"), Variant(name="new", prompt="route@v2")]
    Online(store).start("greeting", variants, outcome="solved")
    desk = Desk(store.path)
    for number in range(30):
        unit = f"user-{number}"
        name = desk.assign("greeting", unit).variant.name
        desk.outcome("greeting", unit, float(name == "new" or number % 2))
    desk.close()
    failed = Mark(kind="trace", local_id="f" * 32, status="FAILED", detail={"why": "too strange"})
    ledger = store.sync_ledger("phoenix http://127.0.0.1:6006 default")
    ledger.save(marks=[failed], positions={"traces": Position(watermark=3)}).result()
    store.index_everything()


def judged(store: Store, trace_id: str, number: int) -> None:
    """A judge's word and ann's, who differ on every fifth trace."""
    said = {"trace_id": trace_id, "scorer_version": "1" * 64, "created_ns": number}
    judge, person = bool(number % 2), bool(number % 2) != (number % 5 == 0)
    store.save_evaluations(
        [
            Evaluation(
                evaluation_id=f"judge-{number}",
                name="polite",
                scorer="llm_judge",
                kind="LLM",
                score=Score(value=0.9 if judge else 0.2, passed=judge, explanation="sounds fine"),
                **said,
            ),
            Evaluation(
                evaluation_id=f"ann-{number}",
                name="feedback",
                identifier="ann",
                scorer="human",
                kind="HUMAN",
                score=Score(passed=person, explanation="rude"),
                **said,
            ),
        ]
    ).result()


def shows(locator: Any, count: int) -> None:
    """Wait until so many are there (the page's policy forbids waiting by evaluated text)."""
    from playwright.sync_api import expect

    expect(locator).to_have_count(count, timeout=15_000)


def test_the_list_walks_and_opens_by_keyboard(world: Any, tab: Any) -> None:
    page = tab(world).open("/traces", "a.tr")
    keys = page.keyboard
    for key in ("j", "j", "k", "j"):
        keys.press(key)
    second = page.locator("a.tr").nth(1)
    assert page.evaluate("document.activeElement.dataset.id") == second.get_attribute("data-id")
    keys.press("Enter")
    page.wait_for_selector("p2re-trace .chat")
    first = page.url
    keys.press("]")
    page.wait_for_url(lambda url: url != first)
    keys.press("Escape")  # at once: its trace may still be on the way
    page.wait_for_selector("a.tr")
    assert page.url.endswith("/traces")
    keys.press("g")
    keys.press("a")
    page.wait_for_url("**/stats")


def test_keys_work_before_what_they_are_for_has_come(world: Any, tab: Any) -> None:
    """On a slow line: Escape leaves a trace that is loading; j walks the list once it is there."""
    opened = tab(world)
    page, held = opened.page, []
    page.route("**/api/p2re/traces/*", lambda route: held.append(route))
    page.goto(f"{world.origin}/traces/{1:032x}")
    page.wait_for_selector("p2re-trace", state="attached")
    while not held:
        page.wait_for_timeout(20)
    page.route("**/api/p2re/traces?*", lambda route: held.append(route))
    page.keyboard.press("Escape")
    page.wait_for_url("**/traces")
    while not any("/traces?" in route.request.url for route in held):
        page.wait_for_timeout(20)
    page.keyboard.press("j")
    page.keyboard.press("j")
    for route in held:
        route.continue_()
    page.wait_for_selector("a.tr")
    second = page.locator("a.tr").nth(1).get_attribute("data-id")
    page.locator(f"a.tr[data-id='{second}']:focus").wait_for()


def test_filters_and_searches_live_in_the_address(world: Any, tab: Any) -> None:
    page = tab(world).open("/traces", "a.tr")
    page.get_by_label("Status").select_option("ERROR")
    shows(page.locator("a.tr"), 1)
    assert "status=ERROR" in page.url
    page.reload()
    shows(page.locator("a.tr"), 1)
    assert page.get_by_label("Status").input_value() == "ERROR"
    page.get_by_role("button", name="Clear").click()
    shows(page.locator("a.tr"), 34)


def test_the_search_box_completes_fields_and_values(world: Any, tab: Any) -> None:
    page = tab(world).open("/traces", "a.tr")
    shows(page.get_by_label("Model", exact=True).locator("option"), 4)
    box = page.get_by_role("combobox", name="Search traces")
    page.keyboard.press("/")
    page.keyboard.type("mode")
    page.get_by_role("option", name="model as asked for").wait_for()
    for key in ("ArrowDown", "Enter", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert box.input_value() == "model == "
    page.keyboard.type('"lo')
    page.get_by_role("listbox").get_by_role("option", name="local/tiny").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert box.input_value() == 'model == "local/tiny" '
    page.keyboard.press("Enter")
    shows(page.locator("a.tr"), 1)
    box.fill("modle == x")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("did you mean 'model'?").wait_for()


def test_new_traces_appear_as_they_end(serve: Any, record: Any, tab: Any) -> None:
    record.trace()
    opened = tab(serve())
    page = opened.open("/traces", "a.tr")
    shows(page.locator("a.tr"), 1)
    record.trace("a new one")
    shows(page.locator("a.tr"), 2)
    assert page.locator("a.tr").first.get_by_text("a new one").is_visible()
    page.keyboard.press("l")
    assert page.get_by_role("button", name="Live").get_attribute("aria-pressed") == "false"


def test_columns_are_the_users_choice(world: Any, tab: Any) -> None:
    page = tab(world).open("/traces", "a.tr")
    page.get_by_text("Columns").click()
    page.get_by_role("checkbox", name="Session").check()
    page.locator("a.tr [data-column=session]:not(:empty)").first.wait_for()
    page.reload()
    page.locator("a.tr [data-column=session]:not(:empty)").first.wait_for()


def test_spans_open_with_their_own_payload(world: Any, tab: Any) -> None:
    page = tab(world).open(f"/traces/{AGENT}", "p2re-trace .row")
    page.get_by_role("treeitem", name="step 2").click()
    page.get_by_text("a child's answer").wait_for()
    assert f"span={2:016x}" in page.url
    page.keyboard.press("ArrowDown")
    page.get_by_role("tab", name="Attributes", selected=True).wait_for()
    assert page.get_by_role("cell", name="ERROR").is_visible()
    page.reload()
    page.get_by_role("tab", name="Attributes", selected=True).wait_for()


def test_the_trace_shows_its_conversation(world: Any, tab: Any) -> None:
    """Tool calls, their results, images and folded reasoning are all there."""
    page = tab(world).open(f"/traces/{AGENT}", "p2re-trace .row")
    assert page.locator("p2re-trace .call-name b").text_content() == "search"
    assert page.locator("p2re-trace img").get_attribute("src").startswith("data:image/png")
    assert not page.get_by_text("The tool says so.").is_visible()
    page.get_by_text("Reasoning, 17 characters").click()
    assert page.get_by_text("The tool says so.").is_visible()
    page.get_by_role("button", name="Markdown").click()
    assert page.locator("p2re-trace strong").text_content() == "charged twice"
    page.keyboard.press("f")
    page.keyboard.type("twice")
    page.get_by_text("2 hits").wait_for()


def test_a_judge_is_held_against_people_on_the_page(world: Any, tab: Any) -> None:
    """How far, which way, and where: the trace is one click away."""
    page = tab(world).open("/evaluations?tab=agreement", ".confusion")
    assert page.locator(".tile", has_text="Agree").first.locator("dd").first.text_content() == (
        "75.0 %"
    )
    assert page.get_by_text("12 traces say little").is_visible()
    rows = page.locator(".confusion tbody tr")
    assert [rows.nth(at).inner_text().split() for at in (0, 1)] == [
        ["judge", "passes", "5", "1"],
        ["judge", "fails", "2", "4"],
    ]
    page.get_by_text("3 traces where they disagree").wait_for()
    page.get_by_role("table", name="Where they disagree").get_by_role("link").first.click()
    page.wait_for_selector("p2re-trace .chat")
    page.go_back()
    page.get_by_label("Judge", exact=True).fill("nobody")
    page.keyboard.press("Tab")
    page.get_by_text("Nobody judged a trace that 'nobody' judged.").wait_for()


def test_a_phone_shows_a_table_as_cards(world: Any, tab: Any) -> None:
    """Every value keeps its name, and nothing has to be scrolled sideways."""
    page = tab(world, viewport={"width": 400, "height": 800}).open("/prompts", "tbody tr")
    cell = page.locator("td[data-label=Versions]").first
    name = cell.evaluate("cell => getComputedStyle(cell, '::before').content")
    assert name == '"Versions"'
    region = page.get_by_role("region", name="Prompts")
    assert region.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_a_trace_is_compared_with_another(world: Any, tab: Any) -> None:
    page = tab(world).open(f"/traces/{3:032x}?tab=compare", "p2re-trace .compare-bar")
    page.get_by_label("Trace to compare with").fill(f"{1:032x}")
    page.get_by_role("button", name="Compare").click()
    assert page.locator("p2re-trace .pair del").text_content() == "account"
    assert page.locator("p2re-trace .pair ins").text_content() == "billing"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("Markdown", "**answer**"),
        ("curl", "curl 'https://api.openai.com/v1/chat/completions'"),
        ("Python", "client.chat.completions.create("),
        ("Suite case", 'inputs: {"ticket":"I was charged twice."}'),
    ],
)
def test_a_trace_is_copied(world: Any, tab: Any, form: str, said: str) -> None:
    opened = tab(world)
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = opened.open(f"/traces/{1:032x}", "p2re-trace .chat")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("menuitem", name=form).click()
    page.get_by_text(f"Copied as {form}").wait_for()
    assert said in page.evaluate("navigator.clipboard.readText()")


def test_feedback_is_given_in_place(serve: Any, record: Any, tab: Any) -> None:
    served = serve()
    trace_id = record.trace().trace_id
    page = tab(served).open(f"/traces/{trace_id}", "p2re-trace .chat")
    page.get_by_role("button", name="Bad").click()
    page.get_by_label("Note").fill("Wrong team.")
    page.get_by_role("button", name="Save feedback").click()
    page.get_by_text("1 evaluation, 1 failed").wait_for()
    (found,) = served.get("/evaluations").json["items"]
    assert (found["kind"], found["score"]["explanation"]) == ("HUMAN", "Wrong team.")


def test_labelling_needs_nothing_but_keys(serve: Any, record: Any, tab: Any) -> None:
    served = serve()
    for number in range(3):
        record.trace(f"answer {number}")
    page = tab(served).open("/evaluations", ".queue .message")
    page.get_by_text("answer 2").wait_for()
    for key, shown in (("1", "answer 1"), ("2", "answer 0")):
        page.keyboard.press(key)
        page.get_by_text(shown).wait_for()
    page.keyboard.press("u")
    page.get_by_text("answer 1").wait_for()
    page.keyboard.press("1")
    page.get_by_text("answer 0").wait_for()
    page.keyboard.press("1")
    page.get_by_text("Everything here has been labelled.").wait_for()
    found = served.get("/evaluations?kind=HUMAN").json["items"]
    assert sorted(one["score"]["passed"] for one in found) == [True, True, True]


def test_a_prompt_is_tried_and_saved_as_a_case(world: Any, tab: Any) -> None:
    page = tab(world).open("/prompts/route?tab=try&version=file", "textarea")
    page.get_by_label("ticket").fill("I was charged twice.")
    page.get_by_role("button", name="Show what would be sent").click()
    page.get_by_text("Route: I was charged twice.").wait_for()
    page.get_by_role("button", name="Run").click()
    page.get_by_role("link", name="Open trace").wait_for()
    page.get_by_role("button", name="Save as case").click()
    page.get_by_text("Saved to suites/saved/route.yaml").wait_for()


def test_a_label_moves(world: Any, tab: Any) -> None:
    page = tab(world).open("/prompts/route", ".versions li")
    page.get_by_label("New label").fill("production")
    page.get_by_role("button", name="Put this label here").click()
    page.locator(".versions .chip", has_text="production").wait_for()
    page.get_by_role("button", name="Take production away").click()
    shows(page.locator(".versions .chip.accent"), 0)


def test_a_matrix_filters_by_outcome(world: Any, tab: Any) -> None:
    page = tab(world).open(f"/experiments/{'2' * 32}", ".matrix")
    page.get_by_role("button", name="failed 1").click()
    assert "outcome=failed" in page.url
    assert page.locator(".matrix tbody tr").count() == 1
    assert page.get_by_text("not met").is_visible()


def test_gates_are_decided_again_on_the_page(world: Any, tab: Any) -> None:
    """With gates of one's own, and against an earlier experiment."""
    page = tab(world).open(f"/experiments/{'2' * 32}", ".matrix")
    page.get_by_text("Decide gates again").click()
    page.get_by_label("Gates, one a line").fill("pass_rate >= 0.9\nno_regression")
    page.get_by_label("Baseline").select_option("1" * 32)
    page.get_by_role("button", name="Decide").click()
    page.get_by_text("1 of 2 not met").wait_for()
    page.get_by_role("region", name="Gates now").get_by_text("insufficient data").wait_for()
    page.get_by_label("Gates, one a line").fill("pass_rat >= 1")
    page.get_by_role("button", name="Decide").click()
    page.get_by_text("unknown").first.wait_for()
    page.get_by_role("button", name="Compare case by case").click()
    page.wait_for_url(f"**/experiments/{'1' * 32}/{'2' * 32}")


def test_a_version_of_the_database_alone_can_be_tried(world: Any, tab: Any) -> None:
    page = tab(world).open("/prompts/route", ".versions li")
    page.locator(".versions a").nth(1).click()  # below the working file
    page.get_by_role("tab", name="Try it").click()
    page.get_by_text("This version is in the database alone").wait_for()
    page.get_by_role("checkbox", name="scripted/router").check()
    page.get_by_role("button", name="Show what would be sent").click()
    page.get_by_text("What would be sent").wait_for()


def test_the_theme_is_kept(world: Any, tab: Any) -> None:
    page = tab(world, color_scheme="light").open("/traces", "a.tr")
    shade = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(shade) == "rgb(255, 255, 255)"
    page.get_by_role("button", name="Light or dark").click()
    page.reload()
    page.wait_for_selector("a.tr")
    assert page.evaluate(shade) == "rgb(19, 21, 23)"


def test_a_page_that_is_none_says_so(world: Any, tab: Any) -> None:
    page = tab(world).open("/nowhere", "[role=alert]")
    assert "there is no page /nowhere" in page.get_by_role("alert").text_content()


def test_an_outcome_of_live_traffic_leads_to_its_experiment(world: Any, tab: Any) -> None:
    """It judges a unit and no trace: there is no trace's page to open."""
    page = tab(world).open("/evaluations?tab=list", "tbody tr")
    row = page.get_by_role("row").filter(has_text="outcome").first
    assert row.get_by_text("user-").is_visible()
    row.get_by_role("link").click()
    page.wait_for_url("**/online/greeting")


def test_two_experiments_are_compared_from_a_phone(world: Any, tab: Any) -> None:
    """The boxes to choose them by are there on small screens too."""
    page = tab(world, viewport={"width": 400, "height": 800}).open("/experiments", "tbody tr")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare the two chosen").click()
    page.wait_for_url(f"**/experiments/{'1' * 32}/{'2' * 32}")


def test_every_section_is_two_keys_away(world: Any, tab: Any) -> None:
    """As the help says: the keys beside each name open it."""
    page = tab(world).open("/traces", "a.tr")
    page.keyboard.press("?")
    said = page.get_by_role("dialog").locator("dt").first.locator("kbd").all_inner_texts()
    page.keyboard.press("Escape")
    names = page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    for key, name in zip(said[1:], names, strict=True):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**/{name.lower()}*")
