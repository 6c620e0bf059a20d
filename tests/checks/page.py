"""What the matrix found, as one page that needs nothing but a browser."""

from collections.abc import Sequence
from html import escape
from string import Template as Text

from tests.checks import unexcused
from tests.matrix.template import Template
from tests.matrix.verdicts import Decision

PAGE = Text("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The matrix</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; }
  table { border-collapse: collapse; margin: 1rem 0; }
  th, td { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid #ddd; }
  td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
  .map { overflow-x: auto; }
  .map th { writing-mode: vertical-rl; font-weight: 400; vertical-align: bottom; border: 0; }
  .map td { padding: 0 .4rem; font-size: 13px; }
  .map td.on { background: #2a6; }
  .bar { background: #48c; height: .6rem; }
  .good { color: #163; } .bad { color: #a11; }
  pre { background: #f6f6f6; padding: .8rem; white-space: pre-wrap; }
</style>
<h1>The matrix</h1>
<p><strong>$combinations combinations</strong> of $questions questions, from $evaluations evaluations of
$cells cells; $ways verdicts in $seconds s. <strong class="$mood">$outcome</strong></p>
$problems
<h2>Checks</h2>
<table><tr><th>check<th class="n">files<th class="n">ways<th class="n">settled<th class="n">excused<th class="n">s<th>
$checks
</table>
<h2>Which question decides about which file</h2>
<p>Files that are the same in every project are left out: $always of $files.</p>
<div class="map"><table><tr><td>$names
$rows
</table></div>
</html>
""")


def excused(decision: Decision) -> int:
    """How much of what it found need not be mended."""
    return len(decision.failing) - len(unexcused(decision.failing))


def page(
    template: Template,
    decisions: Sequence[Decision],
    told: Sequence[str],
    seconds: float,
) -> str:
    """The whole page. The slowest check comes first."""
    questions = template.questions
    slowest = max((decision.seconds for decision in decisions), default=1.0) or 1.0
    checks = [
        f"<tr><td>{escape(d.check)}<td class=n>{d.subjects}<td class=n>{d.ways}"
        f"<td class=n>{d.plans}<td class=n>{excused(d)}<td class=n>{d.seconds:.2f}"
        f'<td><div class="bar" style="width:{12 * d.seconds / slowest:.2f}rem"></div>'
        for d in sorted(decisions, key=lambda decision: -decision.seconds)
    ]
    decided = {path: template.questions_of(path) for path in sorted(template.files)}
    varied = {path: by for path, by in decided.items() if by}
    columns = [n for n in questions.names if any(n in by for by in varied.values())]
    rows = [
        f"<tr><td>{escape(path)}"
        + "".join("<td class=on>" if name in by else "<td>" for name in columns)
        for path, by in varied.items()
    ]
    cells = list(template.cells())
    return PAGE.substitute(
        combinations=f"{questions.count():,}",
        questions=len(questions.names),
        evaluations=f"{sum(cell.evaluations for cell in cells):,}",
        cells=f"{len(cells):,}",
        ways=f"{sum(decision.ways for decision in decisions):,}",
        seconds=f"{seconds:.1f}",
        mood="bad" if told else "good",
        outcome=f"{len(told)} problems" if told else "All hold.",
        problems="".join(f"<pre>{escape(problem)}</pre>" for problem in told),
        checks="\n".join(checks),
        always=len(decided) - len(varied),
        files=len(decided),
        names="".join(f"<th>{escape(name)}" for name in columns),
        rows="\n".join(rows),
    )
