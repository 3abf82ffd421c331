"""How a waterfall looks: rows as grids of the same columns, so that bars and figures stand below each other."""

from typing import Final

from colonnade.display import payloads, span_panel, timeline

_ROWS: Final = """
.colonnade .cn-waterfall { --cn-t: ; --cn-c: ; min-width: 520px; border-top: 1px solid var(--cn-line); }
.colonnade .cn-waterfall.cn-tokens { --cn-t: 100px; } .colonnade .cn-waterfall.cn-cost { --cn-c: 76px; }
.colonnade .cn-row { display: grid; column-gap: 12px; align-items: center; grid-template-rows: 26px; padding-right: 6px;
  grid-template-columns: minmax(0, 36%) minmax(80px, 1fr) 68px var(--cn-t) var(--cn-c); list-style: none; }
.colonnade .cn-row::-webkit-details-marker { display: none; }
.colonnade summary.cn-row { cursor: pointer; }
.colonnade :is(summary.cn-row:hover, details[open]:not(.cn-below, .cn-fold) > summary.cn-row) {
  background: var(--cn-wash); }
.colonnade .cn-row > .cn-name { grid-area: 1 / 1; padding-left: 20px; }
.colonnade .cn-row > :is(.cn-name, .cn-note) { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.colonnade .cn-row > svg.cn-bar { grid-area: 1 / 2 / 3; align-self: stretch; height: 100%; }
.colonnade .cn-row > i { font-style: normal; text-align: right; white-space: nowrap; }
.colonnade .cn-row > .cn-note { grid-area: 2 / 1 / auto / -1; margin: -4px 0 3px; padding-left: 20px; }
.colonnade .cn-name b { font-weight: 600; }
.colonnade .cn-head { color: var(--cn-soft); font-size: 11px; border-bottom: 1px solid var(--cn-line); }
.colonnade .cn-span { position: relative; }
.colonnade .cn-below[open]::before { content: ""; position: absolute; top: 24px; bottom: 12px; z-index: 1;
  left: calc(var(--cn-d) * 13px + 10px); border-left: 1px solid var(--cn-line); }
.colonnade .cn-fold > summary { color: var(--cn-soft); }
.colonnade .cn-fold > summary > .cn-name::before, .colonnade .cn-below > summary::before { content: "▸";
  display: inline-block; width: 20px; margin-left: -20px; text-align: center; font-size: 10px; vertical-align: 1px; }
.colonnade .cn-fold > summary > .cn-name::before { position: relative; left: calc(var(--cn-d) * 13px); }
.colonnade .cn-fold[open] > summary > .cn-name::before, .colonnade .cn-below[open] > summary::before { content: "▾"; }
.colonnade .cn-below > summary { position: absolute; z-index: 2; top: 1px; width: 24px; height: 24px; line-height: 24px;
  left: calc(var(--cn-d) * 13px - 2px); overflow: hidden; white-space: nowrap; list-style: none; cursor: pointer;
  color: var(--cn-soft); }
.colonnade .cn-below > summary::before { margin: 0 20px 0 2px; }
.colonnade .cn-below > summary::-webkit-details-marker { display: none; }
.colonnade .cn-pill { display: inline-block; margin-left: 8px; padding: 0 6px; border: 1px solid var(--cn-line);
  border-radius: 9px; font-size: 11px; line-height: 16px; color: var(--cn-soft); }
.colonnade .cn-key { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 5px; }
.colonnade .cn-key.cn-agent { background: var(--cn-agent); }
.colonnade .cn-key.cn-model { background: var(--cn-model); }
.colonnade .cn-key.cn-tool { background: var(--cn-tool); }
.colonnade .cn-key.cn-failed { background: var(--cn-bad); }
.colonnade .cn-key.cn-other { background: var(--cn-other); }
.colonnade .cn-foot { margin-top: 8px; font-size: 12px; color: var(--cn-soft); }
.colonnade .cn-none { display: none; }
.colonnade .cn-unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@container (max-width: 700px) {
  .colonnade .cn-waterfall.cn-tokens { --cn-t: ; }
  .colonnade :is(.cn-row > .cn-tok, .cn-head text:nth-of-type(even)) { display: none; } }
@media print { .colonnade .cn-row { break-inside: avoid; } }
"""

STYLE: Final = timeline.STYLE + payloads.STYLE + span_panel.STYLE + _ROWS
"""The style of a waterfall, for pages that hold one among other things."""
