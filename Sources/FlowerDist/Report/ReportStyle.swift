/// The style sheet of the page: light, dark and print. Colours after Okabe and Ito, which readers of all kinds of
/// colour vision can tell apart.
enum ReportStyle {
  static let css = """
    :root{color-scheme:light dark;--paper:#fff;--ink:#1a1d21;--soft:#5c6670;--faint:#eef1f4;--rule:#d9dfe5;
    --c0:#c44e00;--c1:#0067a8;--c2:#007d5a;--c3:#a84380;--c4:#2f8fc9;--c5:#a87400;--ref:#6b7580;--target:#1a1d21;
    --mark:#fff2c2}
    @media screen and (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e8ebee;--soft:#a0a9b2;--faint:#1e2329;--rule:#343b43;
    --c0:#f28e4b;--c1:#5cb0f0;--c2:#3fc59f;--c3:#e495c6;--c4:#8fd0f7;--c5:#efc04a;--ref:#a0a9b2;--target:#f4f6f8;
    --mark:#4d4212}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
    "Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
    main{max-width:1060px;margin:0 auto;padding:40px 24px 56px}
    header p{margin:0}
    .brand{color:var(--soft);font-size:13px;letter-spacing:.08em;text-transform:uppercase}
    h1{font-size:32px;line-height:1.2;margin:6px 0 8px;letter-spacing:-.01em;overflow-wrap:anywhere}
    h2{font-size:21px;margin:48px 0 4px;padding-top:20px;border-top:1px solid var(--rule)}
    .lead,figcaption,.note{color:var(--soft)}
    p.lead{max-width:46em;margin:4px 0 16px}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,200px),1fr));gap:14px;margin:28px 0 0}
    .tile{background:var(--faint);border-radius:10px;padding:14px 16px}
    .tile .what{font-size:13px;color:var(--soft)}
    .tile .value{font-size:30px;line-height:1.25;font-weight:650;letter-spacing:-.01em}
    .tile .who{font-size:14px;overflow-wrap:anywhere}
    .tile .who b{font-weight:600}.tile svg.key{margin-left:-5px;margin-right:2px}
    .scroll{overflow-x:auto;margin:12px 0 4px}
    table{border-collapse:collapse;width:100%;font-size:15px}
    th,td{padding:7px 10px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
    th{font-size:13px;font-weight:600;color:var(--soft);vertical-align:bottom;white-space:normal}
    th:first-child,td:first-child{text-align:left;padding-left:0}
    td:first-child{min-width:11em;white-space:normal;overflow-wrap:anywhere}
    h3{font-size:17px;margin:28px 0 4px}
    tr.ref td{color:var(--soft)}
    td small{color:var(--soft);font-size:12px;display:block;line-height:1.2}
    td:first-child small{display:inline;margin-left:8px}
    td b{border-bottom:2px solid currentColor}
    td.text{white-space:normal;text-align:left;overflow-wrap:anywhere;min-width:12em}
    figure{margin:20px 0 0}
    .panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:20px 28px}
    .panels>svg{width:100%;height:auto;max-width:640px;display:block}
    figcaption{font-size:14px;max-width:52em;margin-top:8px}
    .legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:14px;margin:0 0 10px;padding:0;list-style:none}
    .legend li{overflow-wrap:anywhere}
    svg.key{width:22px;height:14px;vertical-align:-2px;margin-right:5px}
    svg text{font-size:12.5px;fill:var(--soft)}
    svg .charttitle{font-size:15px;font-weight:600;fill:var(--ink)}
    svg .pointlabel{fill:var(--ink);font-size:12.5px}
    svg .middle{text-anchor:middle} svg .end{text-anchor:end}
    svg .grid{stroke:var(--rule);stroke-width:1;opacity:.7} svg .axis{stroke:var(--soft);stroke-width:1}
    .c0{--tone:var(--c0)}.c1{--tone:var(--c1)}.c2{--tone:var(--c2)}.c3{--tone:var(--c3)}.c4{--tone:var(--c4)}
    .c5{--tone:var(--c5)}.cref{--tone:var(--ref)}.ctarget{--tone:var(--target)}
    svg .line{fill:none;stroke:var(--tone);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
    svg .faint{stroke-width:1;opacity:.28}
    svg .dot{fill:var(--tone);opacity:.8}svg .ctarget .line{stroke-width:1.5}
    svg .hollow{fill:var(--paper);opacity:1;stroke:var(--tone);stroke-width:2}
    svg .error{fill:none;stroke:var(--tone);stroke-width:1.3;opacity:.75}
    svg .bar{fill:var(--tone);opacity:.9} svg .level{fill:none;stroke:var(--tone);stroke-width:2.4}
    svg .hover{fill:var(--tone);opacity:0} svg .hover:hover{opacity:.55}
    details{border:1px solid var(--rule);border-radius:10px;margin:12px 0;padding:0 16px}
    summary{cursor:pointer;padding:10px 0;font-weight:600;overflow-wrap:anywhere}
    pre{overflow-x:auto;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;margin:0 0 14px}
    mark{background:var(--mark);color:inherit;display:inline-block;min-width:100%}
    footer{margin-top:48px;padding-top:16px;border-top:1px solid var(--rule);font-size:13px;color:var(--soft);
    overflow-wrap:anywhere}
    footer p{margin:4px 0}
    @media(max-width:560px){main{padding:24px 16px 40px}h1{font-size:25px}.tile .value{font-size:25px}
    .tiles{grid-template-columns:1fr 1fr;gap:10px}.tile{padding:10px 12px}svg text{font-size:15px}
    svg .charttitle{font-size:17px}svg .pointlabel{font-size:14px}}
    @media print{:root{color-scheme:light}main{max-width:none;padding:0}figure,.tile,tr,svg{break-inside:avoid}
    h2,h3{break-after:avoid}.scroll{overflow:visible}
    table{font-size:12px}th,td{padding:4px 6px}th,td small{font-size:10px}pre{font-size:10px}details::details-content{content-visibility:visible;height:auto}}
    """
}
