/** How a report page looks: one sheet, for wide and narrow, light and dark, screen and paper. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;--paper:#f7f7f4;--card:#fff;--ink:#1b1f24;--soft:#5c6570;--line:#dddfdc;--grid:#e9ebe8;
--accent:#1f5fbf;--good:#16713a;--good-back:#dff2e4;--bad:#b3261e;--bad-back:#fbe3e0;
--c0:#5b6470;--c1:#1f6fd0;--c2:#d9730d;--c3:#138a5e;--c4:#8a4fc9;--c5:#c43d7e;--c6:#8a7a2f}
@media (prefers-color-scheme:dark){:root{--paper:#14171b;--card:#1c2025;--ink:#e7eaee;--soft:#9aa4b0;--line:#343a42;
--grid:#2a2f36;--accent:#7db0ff;--good:#7bd79b;--good-back:#173323;--bad:#ff9d93;--bad-back:#45201d;
--c0:#98a3b1;--c1:#6aa9ff;--c2:#ffb060;--c3:#4fd09c;--c4:#c49bff;--c5:#ff8dbb;--c6:#d8c565}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 64px}
h1{font-size:2rem;line-height:1.2;margin:0 0 6px;display:flex;flex-wrap:wrap;align-items:center;gap:8px 16px;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:40px 0 12px}
h3{font-size:1rem;margin:20px 0 8px}
.kind{margin:0 0 2px;color:var(--soft);font-size:.9rem}
.summary{margin:0;color:var(--soft);max-width:70ch}
.verdict{font-size:1rem;font-weight:600;padding:4px 12px;border-radius:999px}
.good{color:var(--good)}.bad{color:var(--bad)}
.verdict.good{background:var(--good-back)}.verdict.bad{background:var(--bad-back)}
.facts{display:flex;flex-wrap:wrap;gap:10px 36px;margin:20px 0 0}
.facts dt{color:var(--soft);font-size:.85rem}
.facts dd{margin:0;font-size:1.15rem;font-weight:600;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--line);border-radius:10px;
border-spacing:0;border-collapse:separate;overflow:hidden}
th,td{text-align:left;padding:9px 16px;vertical-align:top;border-top:1px solid var(--grid);overflow-wrap:anywhere}
tr:first-child>*{border-top:0}tbody tr:first-child>*{border-top:1px solid var(--grid)}
.setting tbody tr:first-child>*{border-top:0}
thead th{color:var(--soft);font-weight:500;font-size:.85rem}
tbody th{font-weight:500}td{font-variant-numeric:tabular-nums}
.mark{font-weight:600;white-space:nowrap}
.setting{max-width:760px}.setting th{width:11em;color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(340px,100%),1fr));gap:16px}
figure{margin:0;padding:14px 14px 8px;background:var(--card);border:1px solid var(--line);border-radius:10px}
figcaption{margin:0 2px 8px;line-height:1.4}
small{display:block;color:var(--soft);font-size:.85rem}
.extremes{color:var(--ink);font-variant-numeric:tabular-nums}
.guide{padding:14px 16px;color:var(--soft);font-size:.95rem;max-width:70ch}.guide p{margin:0 0 10px}.guide b{color:var(--ink)}
@media (min-width:1092px){.guide{grid-column:span 2}}
svg{display:block;width:100%;height:auto}
figure svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--soft)}
.grid{stroke:var(--grid);fill:none}.axis{stroke:var(--soft);fill:none}
.line{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.area{fill:var(--accent);opacity:.1}
.dots{fill:none;stroke:var(--accent);stroke-width:5;stroke-linecap:round}
.none{color:var(--soft);text-align:center;padding:48px 0}
.ring-card{display:grid;grid-template-columns:minmax(0,1fr) 240px;gap:24px;background:var(--card);border:1px solid var(--line);
border-radius:10px;padding:20px}
.ring{max-width:820px;margin:0 auto}
.link{fill:none;stroke-width:1.1}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}.c6{stroke:var(--c6)}
.link.c0{stroke-width:2.2;opacity:1}
.peer{fill:var(--card);stroke:var(--ink);stroke-width:1.3}.peer.public{fill:var(--ink)}
.legend{display:flex;flex-direction:column;gap:5px;font-size:.95rem}
.legend label,.legend>span{display:flex;align-items:center;gap:8px}
.legend input{margin:0;accent-color:var(--accent)}
.legend-head{margin:10px 0 2px;color:var(--soft);font-size:.85rem}.legend-head:first-child{margin-top:0}
.swatch{width:20px;height:4px;border-radius:2px;background:currentColor}
.swatch.c0{color:var(--c0)}.swatch.c1{color:var(--c1)}.swatch.c2{color:var(--c2)}.swatch.c3{color:var(--c3)}
.swatch.c4{color:var(--c4)}.swatch.c5{color:var(--c5)}.swatch.c6{color:var(--c6)}
.count{margin-left:auto;color:var(--soft);font-variant-numeric:tabular-nums}
.dot{width:20px;height:20px;flex:none}
.note{color:var(--soft);font-size:.85rem;margin:12px 0 0}
.replay{margin:0;padding:12px 16px;background:var(--card);border:1px solid var(--line);border-radius:10px;
white-space:pre-wrap;overflow-wrap:anywhere;user-select:all;font:.92rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
@media (max-width:760px){
main{padding:20px 14px 48px}h1{font-size:1.6rem}
.ring-card{grid-template-columns:minmax(0,1fr);padding:14px}
.checks thead{display:none}.checks,.checks tbody,.checks tr,.checks th,.checks td{display:block}
.checks tr{padding:10px 14px;border-top:1px solid var(--grid)}.checks tr:first-child{border-top:0}
.checks tbody tr>*,.checks tbody tr:first-child>*{padding:1px 0;border:0}
.checks td[data-head]::before{content:attr(data-head) " ";color:var(--soft);font-size:.85rem}
.setting th{width:8em}
th,td{padding:8px 12px}
}
.replay span{white-space:nowrap}
@media print{figure,.ring-card,tr{break-inside:avoid}}
`
