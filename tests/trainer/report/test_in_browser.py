"""The pages in a real browser, at a phone's and a laptop's width, in light and dark."""

from __future__ import annotations

import pytest
from tiny_bundle import make_bundle

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.cases import Case, run_cases
from tipstaff_trainer.evaluation.baselines import metric_values
from tipstaff_trainer.evaluation.comparison import compare
from tipstaff_trainer.evaluation.contents import make_report, measure_evaluator
from tipstaff_trainer.evaluation.curves import Curve
from tipstaff_trainer.evaluation.latency import measure_latency
from tipstaff_trainer.evaluation.reference_metrics import reference_metrics
from tipstaff_trainer.report.comparison_page import write_comparison
from tipstaff_trainer.report.page import write_report

# The contrast of every text with its background (WCAG 2.2, section 1.4.3), the worst first.
CONTRASTS = """() => {
  const channel = value => {
    value /= 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!text || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const ink = light(parts(element.closest("svg") ? style.fill : style.color));
    const paper = light(ground(element));
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    found.push([contrast, element.textContent.trim().slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""


@pytest.fixture(scope="module")
def pages(many, tmp_path_factory):
    """A report page with every part, and a comparison page."""
    folder = tmp_path_factory.mktemp("pages")
    evaluator = Evaluator.load(make_bundle(folder / "b"))
    case = Case(name="a case", expect="review", input="a", output="b", ground_truth="c")
    outcomes = run_cases(evaluator, [case])
    curve = Curve(name="training loss", x_label="step", y_label="loss", x=(1, 2), y=(2, 1))
    report = make_report(
        evaluator,
        many,
        bundle="a/rather/long/path/to/a/bundle/that/does/not/fit/a/phone",
        data="rows.jsonl",
        slice_by=["system"],
        cases=outcomes,
        metrics=metric_values(many.rows, reference_metrics(many.rows, separator=None)),
        latency=measure_latency(evaluator)[0],
        learning=[curve],
        warnings=["a warning"],
    )
    sides = (
        measure_evaluator(evaluator, many, bundle="old"),
        measure_evaluator(evaluator, many, bundle="new"),
    )
    comparison = compare(sides, (many, many), data="rows.jsonl", cases=(outcomes, outcomes))
    return (
        write_report(report, folder / "report"),
        write_comparison(comparison, folder / "comparison"),
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_fit_and_can_be_read(chromium, pages, width, scheme):
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
    )
    complaints, asked = [], []
    for file in pages:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        contrast, text = page.evaluate(CONTRASTS)[0]
        assert contrast >= 4.5, text
    context.close()
    assert not complaints
    assert asked == [file.as_uri() for file in pages]
