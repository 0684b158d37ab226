"""axe-core on a page as it stands: what it finds, one line each."""

from functools import cache
from pathlib import Path

from playwright.sync_api import Page

RUN = """async (rules) => {
    const options = rules ? { runOnly: { type: "rule", values: rules } } : {};
    const { violations } = await axe.run(document, { ...options, resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) => nodes.map(
        ({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary.replace(/\\s+/g, " ")}`
    ));
}"""  # fmt: skip


@cache
def _axe() -> str:
    return (Path(__file__).parent / "axe" / "axe.min.js").read_text()


def violations(page: Page, *, rules: list[str] | None = None) -> list[str]:
    """What axe finds, by all of its rules or some. The page's own policy stays in force: the debugger may evaluate."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_axe())
    return list(page.evaluate(RUN, rules))
