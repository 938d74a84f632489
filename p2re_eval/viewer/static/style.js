// How the trace viewer looks, wherever it is put: its own light and dark, its own box.

export const STYLE = `
:host {
  --paper: light-dark(#ffffff, #131517); --wash: light-dark(#f6f7f8, #1a1d20); --raised: light-dark(#ffffff, #1f2327);
  --line: light-dark(#e2e4e8, #2d3238); --strong: light-dark(#868d97, #767e88); --ink: light-dark(#1b1e22, #e7e9ec);
  --soft: light-dark(#5a616b, #9ea6b0); --accent: light-dark(#2857c4, #8fb2ff); --accent-wash: light-dark(#edf2fd, #1c2740);
  --pass: light-dark(#17693c, #7fcf9e); --fail: light-dark(#b0261c, #ff9c93); --warn: light-dark(#7d5000, #e8b85f);
  --fail-wash: light-dark(#fdf0ef, #34191a); --pass-wash: light-dark(#e4f5ea, #163424); --hit: light-dark(#ffe58a, #6b5600);
  --sans: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  display: flex; flex-direction: column; min-height: 0; color: var(--ink); background: var(--paper);
  font: 13px/1.5 var(--sans); font-variant-numeric: tabular-nums;
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
h2, h3, p, ol, ul, dl, dd, pre { margin: 0; padding: 0; }
ol, ul { list-style: none; }
a { color: var(--accent); text-underline-offset: 2px; }
.soft { color: var(--soft); } .pass { color: var(--pass); } .fail { color: var(--fail); } .warn { color: var(--warn); }
.mono { font-family: var(--mono); font-size: 12px; }
.icon { width: 14px; height: 14px; fill: none; stroke: currentColor; stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round; flex: none; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
button, input, select, textarea { font: inherit; color: inherit; }
button {
  display: inline-flex; align-items: center; gap: 6px; min-height: 28px; padding: 0 10px; border: 1px solid var(--line);
  border-radius: 6px; background: var(--raised); cursor: pointer; white-space: nowrap;
}
button:hover { border-color: var(--strong); }
button.quiet { border-color: transparent; background: none; color: var(--soft); }
button.quiet:hover { background: var(--wash); color: var(--ink); }
button.bare { padding: 0; width: 28px; justify-content: center; }
button[aria-pressed="true"] { background: var(--accent-wash); color: var(--accent); border-color: transparent; }
input, select, textarea { min-height: 28px; padding: 3px 8px; border: 1px solid var(--strong); border-radius: 6px; background: var(--raised); min-width: 0; }
textarea { width: 100%; resize: vertical; }

.head { padding: 14px 20px 10px; border-bottom: 1px solid var(--line); }
.title { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 10px; }
.title h2 { font-size: 16px; font-weight: 650; overflow-wrap: anywhere; letter-spacing: -0.01em; }
.title .tools { margin-inline-start: auto; display: flex; flex-wrap: wrap; gap: 6px; position: relative; }
.state { font-weight: 600; font-size: 12px; padding: 1px 8px; border-radius: 99px; background: var(--wash); }
.state.OK { color: var(--pass); background: var(--pass-wash); } .state.ERROR { color: var(--fail); background: var(--fail-wash); }
.state.RUNNING { color: var(--accent); background: var(--accent-wash); } .state.ABANDONED { color: var(--warn); }
.facts { display: flex; flex-wrap: wrap; gap: 2px 18px; margin-top: 8px; }
.facts div { display: flex; gap: 6px; min-width: 0; }
.facts dt { color: var(--soft); } .facts dd { overflow-wrap: anywhere; min-width: 0; }
.menu { position: absolute; inset-inline-end: 0; top: 32px; z-index: 5; background: var(--raised); border: 1px solid var(--line); border-radius: 8px; box-shadow: 0 8px 24px rgb(0 0 0 / 0.16); padding: 4px; display: grid; min-width: 180px; }
.menu button { border: 0; background: none; justify-content: start; }
.menu button:hover { background: var(--wash); }
.said { min-width: 0; }

.body { flex: 1; min-height: 0; display: grid; grid-template-columns: minmax(0, 1fr); }
.body.with-tree { grid-template-columns: minmax(320px, 42%) minmax(0, 1fr); }
.tree { display: flex; flex-direction: column; min-height: 0; min-width: 0; border-inline-end: 1px solid var(--line); }
.tree-bar { display: flex; align-items: center; gap: 4px; padding: 8px 8px 8px 20px; flex-wrap: wrap; }
.tree-bar input { flex: 1 1 90px; width: 90px; }
.tree-bar .soft { padding: 0 4px; white-space: nowrap; }
.axis { height: 20px; border-bottom: 1px solid var(--line); padding-inline-start: 46%; }
.axis-marks { position: relative; height: 100%; margin-inline-end: 12px; font-size: 11px; color: var(--soft); }
.axis-marks span { position: absolute; bottom: 1px; border-inline-start: 1px solid var(--line); padding-inline-start: 4px; }
.tree-scroll { flex: 1; min-height: 120px; overflow-y: auto; overflow-x: hidden; contain: strict; }
.rows { position: relative; outline-offset: -2px; }
.row { position: absolute; inset-inline: 0; top: 0; height: 28px; display: flex; align-items: center; cursor: default; }
.row:hover { background: var(--wash); }
.row.selected { background: var(--accent-wash); box-shadow: inset 2px 0 var(--accent); }
.row .label { width: 46%; display: flex; align-items: center; gap: 6px; overflow: hidden; padding-inline-end: 8px; }
.row .span-name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row.failed .span-name { color: var(--fail); }
.twist { width: 18px; height: 24px; margin-inline-start: 6px; display: grid; place-items: center; flex: none; color: var(--soft); }
.twist:not(.none) { cursor: pointer; } .twist .icon { width: 11px; height: 11px; transition: transform 80ms; } .twist.open .icon { transform: rotate(90deg); }
.kind { width: 8px; height: 8px; border-radius: 3px; flex: none; background: var(--tone); }
.bar-space { position: relative; flex: 1; height: 100%; margin-inline-end: 12px; }
.bar { position: absolute; top: 8px; height: 12px; border-radius: 3px; background: var(--tone); min-width: 2px; }
.row.failed .bar { background: var(--fail); }
.took { position: absolute; top: 5px; padding: 0 5px; font-size: 11px; color: var(--soft); white-space: nowrap; }
.took.inside { top: 8px; line-height: 12px; font-size: 10px; font-weight: 600; color: light-dark(#ffffff, #0e1420); }
.k-LLM { --tone: light-dark(#3f6fe0, #7ea4ff); } .k-TOOL { --tone: light-dark(#d08700, #e3ac45); } .k-AGENT { --tone: light-dark(#8452d5, #b592f2); }
.k-CHAIN { --tone: light-dark(#8f97a3, #8c95a1); } .k-RETRIEVER, .k-RERANKER { --tone: light-dark(#0d8f8a, #4cc3bd); } .k-EMBEDDING { --tone: light-dark(#c2508f, #e58ab9); }
.k-EVALUATOR { --tone: light-dark(#2f8f55, #68bd88); } .k-GUARDRAIL { --tone: light-dark(#c4543a, #ef9078); }

.detail { min-height: 0; min-width: 0; overflow: auto; display: flex; flex-direction: column; }
.tabs { position: sticky; top: 0; z-index: 2; background: var(--paper); display: flex; flex-wrap: wrap; align-items: center; gap: 2px; padding: 0 20px; border-bottom: 1px solid var(--line); }
.tabs [role="tab"] { border: 0; border-radius: 0; background: none; color: var(--soft); min-height: 36px; padding: 0 10px; box-shadow: none; }
.tabs [role="tab"]:hover { color: var(--ink); }
.tabs [role="tab"][aria-selected="true"] { color: var(--ink); font-weight: 600; box-shadow: inset 0 -2px var(--accent); }
.tabs .find { margin-inline-start: auto; display: flex; align-items: center; gap: 4px; padding: 4px 0; }
.tabs .find input { width: 150px; }
.columns { display: flex; flex: 1; min-height: 0; }
.panel { flex: 1; min-width: 0; padding: 4px 20px 32px; max-width: 110ch; }
.panel.wide { max-width: none; }
.panel:focus-visible { outline-offset: -2px; }

.chat { display: grid; }
.message { display: grid; grid-template-columns: 84px minmax(0, 1fr); gap: 12px; padding: 12px 0; border-bottom: 1px solid var(--line); }
.message:last-child { border-bottom: 0; }
.role { font-size: 12px; color: var(--soft); overflow-wrap: anywhere; padding-top: 1px; }
.role b { font-weight: 600; }
.message.user .role b { color: var(--accent); } .message.answer .role b { color: var(--pass); } .message.fault .role b { color: var(--fail); } .message.tool .role b { color: var(--warn); }
.text { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.55; font-size: 13.5px; }
.text.mono { font-size: 12px; line-height: 1.6; }
.text p { margin-bottom: 0.7em; white-space: pre-wrap; } .text p:last-child { margin: 0; } .text .heading { font-weight: 650; font-size: 14px; }
.text .item { display: flex; gap: 0.6em; } .text .bullet { color: var(--soft); flex: none; } .text code { font-family: var(--mono); font-size: 0.9em; background: var(--wash); padding: 0 4px; border-radius: 4px; }
.code { font: 12px/1.6 var(--mono); background: var(--wash); padding: 8px 12px; border-radius: 6px; margin: 6px 0; overflow-x: auto; white-space: pre; }
.message .said > * + * { margin-top: 8px; }
.message.answer { background: var(--wash); margin: 4px -12px 0; padding: 12px; border-radius: 8px; }
.message.fault { background: var(--fail-wash); margin: 4px -12px 0; padding: 12px; border-radius: 8px; }
.call { border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; background: var(--paper); }
.call-name { font-size: 12px; margin-bottom: 4px; } .call-name b { font-family: var(--mono); font-weight: 600; color: var(--warn); }
.reasoning summary, summary { cursor: pointer; color: var(--soft); } .reasoning[open] { border-inline-start: 2px solid var(--line); padding-inline-start: 12px; color: var(--soft); }
.message img { max-width: min(100%, 480px); max-height: 420px; border-radius: 6px; border: 1px solid var(--line); display: block; }
.json .j-key { color: var(--accent); } .json .j-string { color: light-dark(#23683f, #9ad1ac); } .json .j-number { color: light-dark(#8a4a00, #e5b27a); }
pre.text { white-space: pre-wrap; }

.aside { width: 320px; flex: none; border-inline-start: 1px solid var(--line); padding: 14px 20px 32px; }
.aside h3, .panel h3 { font-size: 12px; font-weight: 600; color: var(--soft); margin: 0 0 8px; }
.panel h3 { margin-top: 18px; }
.evaluation { padding: 8px 0; border-bottom: 1px solid var(--line); }
.evaluation .line { display: flex; gap: 8px; align-items: baseline; flex-wrap: wrap; }
.evaluation .why { color: var(--soft); margin-top: 2px; white-space: pre-wrap; overflow-wrap: anywhere; }
.evaluation b { font-weight: 600; }
.tag { font-size: 11px; color: var(--soft); border: 1px solid var(--line); border-radius: 4px; padding: 0 5px; }
.feedback { display: grid; gap: 8px; margin-top: 14px; padding-top: 14px; }
.feedback .thumbs { display: flex; gap: 6px; }
.feedback label { display: grid; gap: 3px; color: var(--soft); font-size: 12px; } .feedback label > * { color: var(--ink); font-size: 13px; }

.inputs { display: grid; gap: 4px; padding: 12px 0; border-bottom: 1px solid var(--line); }
.inputs > div { display: grid; grid-template-columns: minmax(84px, max-content) minmax(0, 1fr); gap: 12px; } .inputs dd { overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 24px; padding: 12px 0; border-bottom: 1px solid var(--line); }
.half .role { margin-bottom: 4px; }
.note { padding: 12px 0; }
.mark { border-radius: 3px; padding: 0 2px; background: var(--tint); } .mark.tag { --tint: light-dark(#eceef1, #2a2f35); border: 0; font-size: inherit; color: inherit; }
.v0 { --tint: light-dark(#dbe7ff, #23375e); } .v1 { --tint: light-dark(#d6f3df, #1b402a); } .v2 { --tint: light-dark(#ffe9c7, #4b3512); }
.v3 { --tint: light-dark(#f4ddf7, #452a4b); } .v4 { --tint: light-dark(#cff1ef, #123f3d); } .v5 { --tint: light-dark(#ffdcd8, #4f2320); }
ins { background: var(--pass-wash); color: var(--pass); text-decoration: none; border-radius: 3px; } del { background: var(--fail-wash); color: var(--fail); border-radius: 3px; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: start; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 400; color: var(--soft); white-space: nowrap; width: 1%; } td.mono { white-space: pre-wrap; }
.alike button { width: 100%; justify-content: start; gap: 14px; overflow: hidden; } .alike .mono { color: var(--ink); } .alike .preview { overflow: hidden; text-overflow: ellipsis; color: var(--ink); }
.unchanged { padding: 10px 0; border-bottom: 1px solid var(--line); } .unchanged summary b { color: var(--ink); } .versus { table-layout: fixed; } .versus tr > :first-child { width: 128px; white-space: normal; } .versus tr > :last-child { width: 150px; } .versus thead th { width: auto; font-size: 12px; white-space: normal; }
.compare-bar { display: flex; gap: 8px; flex-wrap: wrap; padding: 12px 0; align-items: center; }
.compare-bar input { flex: 1; max-width: 340px; }
.toast { position: fixed; inset-block-end: 16px; inset-inline: 0; margin-inline: auto; width: max-content; max-width: 90vw; background: var(--ink); color: var(--paper); padding: 6px 14px; border-radius: 8px; z-index: 9; }
::highlight(p2re-hit) { background: var(--hit); }

@container viewer (max-width: 1180px) { .columns { flex-direction: column; } .aside { width: auto; border-inline-start: 0; border-top: 1px solid var(--line); } .panel { flex: none; max-width: none; } }
@container viewer (max-width: 760px) {
  .body.with-tree { grid-template-columns: minmax(0, 1fr); grid-template-rows: minmax(200px, 38%) minmax(0, 1fr); }
  .tree { border-inline-end: 0; border-bottom: 1px solid var(--line); }
  .message, .pair { grid-template-columns: minmax(0, 1fr); gap: 4px; } .head, .panel, .aside { padding-inline: 14px; } .tabs { padding-inline: 6px; } .tree-bar { padding-inline-start: 14px; }
  .tabs .find { margin: 0; width: 100%; padding: 4px 8px; } .tabs .find input { flex: 1; }
  .title .tools { margin: 0; }
  .versus tr > :first-child { width: 84px; } .versus tr > :last-child { width: 76px; } .versus thead .soft { display: none; }
}
.frame { container: viewer / inline-size; display: flex; flex-direction: column; flex: 1; min-height: 0; }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
@media print { :host { color-scheme: light; height: auto !important; display: block; } .frame { display: block; } .tools, .tabs, .feedback, .tree-bar { display: none; } .body, .body.with-tree, .detail { display: block; } .detail, .tree-scroll { overflow: visible; contain: none; } }
`;
