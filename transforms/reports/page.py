"""The page of a report: self-contained, without scripts and without resources from elsewhere."""

from collections.abc import Iterable

from transforms.reports.markup import Html, escaped

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --card: #f6f8fa; --line: #d1d9e0;
  --first: #0969da; --second: #bc4c00; --good: #1a7f37; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --paper: #0d1117; --card: #151b23;
  --line: #3d444d; --first: #58a6ff; --second: #f0883e; --good: #3fb950; --bad: #f85149; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { max-width: 46rem; } .soft, small, caption, figcaption { color: var(--soft); }
small { font-size: .8em; white-space: nowrap; } code { font-size: .85em; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile small { white-space: normal; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .75rem 0; }
caption { text-align: left; padding-bottom: .35rem; font-size: .9em; }
caption span { display: block; max-width: min(46rem, calc(100vw - 2.5rem)); }
th, td { padding: .3rem .55rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; } thead th { font-weight: 600; border-bottom-width: 2px; vertical-align: bottom;
  white-space: normal; } details caption { position: absolute; clip-path: inset(50%); }
tbody th { font-weight: 500; } details table { width: 100%; } details th:first-child { width: 99%; }
.bar { display: inline-block; min-width: 8.5rem; padding: 0 .25rem; text-align: left;
  background: linear-gradient(color-mix(in srgb, var(--first) 22%, transparent) 0 0) no-repeat;
  background-size: calc(var(--share) * 100%) 100%; border-radius: .2rem; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { width: 100%; height: auto; display: block; }
.pair { display: flex; flex-wrap: wrap; gap: 1.5rem; } .pair > svg { flex: 0 1 auto; }
summary { cursor: pointer; font-weight: 600; padding: .3rem 0; } dl { display: grid; gap: .2rem 1rem;
  grid-template-columns: max-content 1fr; } dt { color: var(--soft); } dd { margin: 0; }
.state { display: inline-block; border: 1px solid currentColor; border-radius: 1rem; padding: 0 .6rem;
  font-size: .9rem; font-weight: 600; vertical-align: middle; }
.good { color: var(--good); } .bad { color: var(--bad); }
li { overflow-wrap: anywhere; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.key { display: inline-block; width: 1.1em; height: .25em; vertical-align: middle; border-radius: .1em; }
"""
"""Style of all reports: light or dark as the reader's system is, also on narrow screens."""


def html_page(title: str, body: Iterable[Html]) -> str:
    """The whole page as a document. The parts of its body are on lines of their own."""
    content = "\n".join(escaped(part) for part in body)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escaped(title)}</title>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{content}\n</body>\n</html>\n"
    )
