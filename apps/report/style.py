"""The page's style sheet: the colours of the windows, in both themes, and on paper."""

from __future__ import annotations

import dataclasses
from string import Template

from rtbci.apps.gui.colours import DARK, LIGHT, Palette

_SHEET = Template("""
:root { color-scheme: light dark; $light }
@media (prefers-color-scheme: dark) { :root { $dark } }
@media print { :root { $light } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--window); color: var(--text);
  font: 14px/1.45 Inter, "Inter Variable", system-ui, -apple-system, "Segoe UI", "DejaVu Sans",
    sans-serif; font-feature-settings: "tnum"; font-variant-numeric: tabular-nums; }
main { max-width: 1160px; margin: 0 auto; padding: 26px 16px 40px; display: grid;
  grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
header, .wide { grid-column: 1 / -1; }
h1 { font-size: 24px; line-height: 1.2; margin: 0 0 4px; font-weight: 700; }
h2 { font-size: 15px; margin: 0 0 2px; font-weight: 600; }
h3 { font-size: 13px; margin: 14px 0 4px; font-weight: 600; }
p { margin: 0 0 8px; }
a { color: inherit; }
.lead { color: var(--secondary); margin-bottom: 12px; }
.sub { color: var(--secondary); font-size: 13px; margin-bottom: 10px; max-width: 84ch; }
.note { font-size: 13px; color: var(--secondary); margin: 8px 0 0; max-width: 84ch; }
.note.fair, .fair { color: var(--fair); }
.note.bad, .bad { color: var(--bad); }
.good { color: var(--good); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px 16px; min-width: 0; }
.missing { border-left: 3px solid var(--fair); }
.missing ul { margin: 4px 0 0; padding-left: 18px; }
.missing li { margin: 3px 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 10px 14px 12px; min-width: 0; }
.tile b { display: block; font-size: 22px; line-height: 1.25; font-weight: 700;
  overflow-wrap: anywhere; }
.tile span { color: var(--secondary); font-size: 12px; }
.tile em { display: block; font-style: normal; font-size: 12px; color: var(--secondary); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 16px; margin: 0;
  align-content: start; }
dt { color: var(--secondary); }
dd { margin: 0; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 6px 28px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th { text-align: left; font-weight: 500; color: var(--secondary); padding: 4px 10px 4px 0;
  border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: bottom; }
td { padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: none; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; white-space: nowrap; }
.mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 12px; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin-right: 6px; }
details { margin-top: 10px; }
summary { cursor: pointer; color: var(--secondary); font-size: 13px; }
summary:focus-visible { outline: 2px solid var(--good); outline-offset: 2px; }
.long { max-height: 460px; overflow-y: auto; }
svg { display: block; width: 100%; height: 100%; overflow: visible; }
svg path, svg rect { vector-effect: non-scaling-stroke; }
.grid path { stroke: var(--line); stroke-width: 1; fill: none; }
figure { margin: 0; }
.chart { font-size: 11px; color: var(--secondary); padding-top: 2px; }
.plot { display: grid; grid-template-columns: 38px minmax(0, 1fr); }
.ticks-y { position: relative; }
.ticks-y span { position: absolute; right: 7px; transform: translateY(-50%); white-space: nowrap; }
.canvas { position: relative; border-left: 1px solid var(--line);
  border-bottom: 1px solid var(--line); min-width: 0; }
.canvas svg { position: absolute; inset: 0; overflow: hidden; }
.ticks-x { position: relative; height: 17px; margin: 3px 0 0 38px; }
.ticks-x span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.x-name { text-align: center; margin-left: 38px; }
.y-name { margin: 0 0 6px; }
.word { position: absolute; padding: 0 4px; line-height: 1.3; white-space: nowrap;
  font-size: 11px; background: color-mix(in srgb, var(--card) 78%, transparent); }
.keys { margin: 8px 0 0 38px; display: flex; flex-wrap: wrap; gap: 3px 16px; font-size: 12px; }
.key i { display: inline-block; width: 18px; margin-right: 6px; vertical-align: 3px; }
.key .swatch { width: 10px; vertical-align: 0; }
.lane { display: grid; grid-template-columns: 96px minmax(0, 1fr); align-items: center;
  gap: 0 10px; font-size: 12px; color: var(--secondary); }
.lane > span { text-align: right; line-height: 1.15; overflow-wrap: anywhere; }
.lane .strip { height: 22px; background: var(--raised); border-radius: 3px; overflow: hidden;
  margin: 2px 0; }
.lane .strip.tall { height: 62px; }
.lane .strip.thin { height: 13px; margin: 1px 0; }
.lane .strip svg { overflow: hidden; }
.lane .ticks-x { margin: 2px 0 0; font-size: 11px; }
.lines td:nth-child(-n+2) { width: 1%; white-space: nowrap; }
.electrodes td { padding-top: 2px; padding-bottom: 2px; vertical-align: middle; }
.electrodes .strip { height: 18px; min-width: 120px; background: var(--raised);
  border-radius: 3px; overflow: hidden; }
.electrodes .strip svg { overflow: hidden; }
.electrodes .ticks-x { margin: 0; font-size: 11px; color: var(--secondary); }
.electrodes td:nth-child(3) { width: 46%; }
.meter { height: 8px; background: var(--raised); border-radius: 4px; overflow: hidden;
  min-width: 60px; margin-top: 6px; }
.meter i { display: block; height: 100%; border-radius: 4px; }
.matrix td, .matrix th { text-align: center; padding: 7px 10px; border-bottom: none; }
.matrix th { border-bottom: none; }
.matrix td.cell { background: var(--raised); border: 2px solid var(--card); border-radius: 6px;
  font-weight: 600; font-size: 15px; }
.matrix td.cell small { display: block; opacity: .75; font-weight: 400;
  font-size: 11px; }
.matrix .row-name { text-align: right; white-space: nowrap; }
.heads { display: flex; flex-wrap: wrap; gap: 12px 16px; justify-content: space-around; }
.head { width: 186px; text-align: center; font-size: 12px; }
.head svg { height: auto; aspect-ratio: 1; }
.head figcaption { font-weight: 600; margin-top: 2px; }
.outline { fill: none; stroke: var(--secondary); stroke-width: 1.4; }
.spot circle { fill: #10131a; stroke: #fff; stroke-width: .6; }
.spot.away circle { fill: none; stroke: var(--secondary); }
.spot text { font-size: 9px; font-weight: 600; text-anchor: middle; fill: #fff;
  paint-order: stroke; stroke: rgba(16, 19, 26, .8); stroke-width: 2.2px;
  stroke-linejoin: round; }
.spot.away text { fill: var(--secondary); stroke: none; }
.scale { display: flex; align-items: center; justify-content: center; gap: 6px; font-size: 11px;
  color: var(--secondary); margin-top: 3px; }
.scale i { display: inline-block; width: 66px; height: 7px; border-radius: 3px; }
.verdict { font-size: 20px; font-weight: 700; line-height: 1.25; margin: 2px 0 4px; }
footer { grid-column: 1 / -1; color: var(--secondary); font-size: 12px; text-align: center;
  padding-top: 12px; }
@media screen and (max-width: 760px) {
  main { grid-template-columns: minmax(0, 1fr); padding: 16px 8px 30px; }
  .columns { grid-template-columns: minmax(0, 1fr); }
  .card { padding: 12px; }
  .s, .electrodes .ticks-x { display: none; }
  .electrodes .strip { min-width: 70px; }
  .lane { grid-template-columns: 66px minmax(0, 1fr); }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .head { width: 46%; min-width: 140px; }
  h1 { font-size: 20px; }
}
@page { margin: 12mm; }
@media print {
  body { background: #fff; font-size: 10px; -webkit-print-color-adjust: exact;
    print-color-adjust: exact; }
  main { padding: 0; max-width: none; gap: 8px; }
  table, .sub, .note, .lane, .keys, summary { font-size: 9.5px; }
  .verdict { font-size: 15px; }
  .tile b { font-size: 16px; }
  .tiles { grid-template-columns: repeat(6, minmax(0, 1fr)); }
  .head { width: 17%; }
  .card { break-inside: avoid; }
  .wide { break-inside: auto; }
  .tile, .head, .chart, .lane, .columns > div, tr, .missing { break-inside: avoid; }
  h2, h3, .sub { break-after: avoid; }
  .long { max-height: none; overflow: visible; }
}
""")


def style_sheet() -> str:
    """CSS of the page."""
    return _SHEET.substitute(light=_variables(LIGHT), dark=_variables(DARK)).strip()


def _variables(colours: Palette) -> str:
    values = dataclasses.asdict(colours)
    return " ".join(f"--{role}: {value};" for role, value in values.items() if role != "name")
