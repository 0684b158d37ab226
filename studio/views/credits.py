"""Credits: balance, statement with a line for each image, usage, and the statement as CSV."""

import csv
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from billing import clock, ledger, statements
from campaigns import charges
from campaigns.usage import usage as usage_of
from gallery.csv_text import quoted
from studio import credit_words
from studio.credit_words import GRANTS, ToldRow
from studio.forms.credits import PeriodForm, StatementForm
from studio.http import StudioRequest
from studio.ids import id_in_query

CHART_DAYS = 30
PERIODS = (7, 30, 90, 365)
CSV_COLUMNS = (
    "entry", "time", "kind", "for", "detail", "available_change", "held_change", "spent_change", "expired_change",
    "available_after", "hold", "image",
)  # fmt: skip


def overview(request: StudioRequest) -> HttpResponse:
    """Balance, buckets and the statement; for htmx the statement alone."""
    if request.htmx:
        return render(request, "credits/credits.html#rows", _statement(request))
    # The balance first: looking gives the day's credits, and these stand in the statement.
    return render(request, "credits/credits.html", _balance(request) | _statement(request))


def _balance(request: StudioRequest) -> dict[str, Any]:
    workspace_id, zone, now = request.workspace.pk, ZoneInfo(request.workspace.time_zone), clock.now()
    today = now.astimezone(zone).date()
    since = today - timedelta(days=CHART_DAYS - 1)
    start, end = _span(since, today, zone)
    days = statements.spent_by_day(workspace_id=workspace_id, since=start, until=end, zone=zone)
    balance, plan = ledger.top_up(workspace_id=workspace_id, now=now), statements.plan(workspace_id=workspace_id)
    return {
        "balance": balance,
        "is_low": balance.available < plan.low_credits * ledger.MILLI,
        "plan": plan,
        "buckets": [
            (GRANTS[bucket.kind], bucket) for bucket in statements.buckets(workspace_id=workspace_id, zone=zone)
        ],
        "now": now,
        "since": since,
        "today": today,
        "days": [(day.day, day.spent) for day in days],
        "spent_lately": sum(day.spent for day in days),
    }


def _statement(request: StudioRequest) -> dict[str, Any]:
    form, hold_ids = _filter(request)
    before = id_in_query(request, "before")
    page = statements.page(workspace_id=request.workspace.pk, kinds=form.kinds, hold_ids=hold_ids, before=before)
    query = request.GET.copy()
    query.pop("before", None)
    more = query.copy()
    more["before"] = str(page.next)
    return {
        "form": form,
        "rows": credit_words.rows(page.rows),
        "next": page.next,
        "query": query.urlencode(),
        "more": more.urlencode(),
        "is_later_page": before is not None,
        "is_filtered": bool(form.cleaned_data.get("show") or hold_ids is not None),
    }


def _filter(request: StudioRequest) -> tuple[StatementForm, list[int] | None]:
    workspace_id = request.workspace.pk
    form = StatementForm(request.GET, campaigns=charges.launched_campaigns(workspace_id=workspace_id))
    form.is_valid()
    campaign_id = form.cleaned_data.get("campaign")
    if campaign_id is None:
        return form, None
    return form, charges.hold_ids_of(workspace_id=workspace_id, campaign_id=campaign_id)


def hold(request: StudioRequest, hold: int) -> HttpResponse:
    """One launch or click: a line for each image; for htmx the lines alone."""
    settled = statements.settlement(workspace_id=request.workspace.pk, hold_id=hold)
    if settled is None:
        raise Http404
    page = statements.lines(workspace_id=request.workspace.pk, hold_id=hold, after=id_in_query(request, "after") or 0)
    priced = charges.priced_at(hold)
    unit = priced.unit if priced else "image"
    context = {"hold_id": hold, "lines": credit_words.lines(page, unit=unit), "next": page.next}
    if request.htmx:
        return render(request, "credits/hold.html#lines", context)
    origin = charges.origins_of([hold]).get(hold)
    context |= {
        "settled": settled,
        "origin": origin,
        "words": credit_words.settlement(settled, origin),
        "price": credit_words.price(priced) if priced else "",
    }
    return render(request, "credits/hold.html", context)


def usage(request: StudioRequest) -> HttpResponse:
    """What was spent in a period, by campaign, member, model and day."""
    zone = ZoneInfo(request.workspace.time_zone)
    today = clock.now().astimezone(zone).date()
    default = {"since": today - timedelta(days=CHART_DAYS - 1), "until": today}
    form = PeriodForm(request.GET if "since" in request.GET else default)
    since, until = (form.cleaned_data if form.is_valid() else default).values()
    start, end = _span(since, until, zone)
    report = usage_of(workspace_id=request.workspace.pk, since=start, until=end, zone=zone)
    context = {
        "form": form,
        "since": since,
        "until": until,
        "today": today,
        "periods": [(days, today - timedelta(days=days - 1)) for days in PERIODS],
        "report": report,
        "days": [(day, share.spent) for day, share in report.by_day],
        "day_shares": [share for _, share in report.by_day],
        "day_largest": max((share.spent for _, share in report.by_day), default=0),
    }
    return render(request, "credits/usage.html", context)


def download(request: StudioRequest) -> StreamingHttpResponse:
    """The statement as CSV, filtered as the page is."""
    form, hold_ids = _filter(request)
    kinds = form.kinds or statements.EVERY_KIND
    chunks = statements.export(workspace_id=request.workspace.pk, kinds=kinds, hold_ids=hold_ids)
    told = chain.from_iterable(credit_words.rows(chunk) for chunk in chunks)
    name = f"credits-{request.workspace.slug}-{clock.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(_csv(told), content_type="text/csv; charset=utf-8", headers=headers)


class _Echo:
    """A file for csv.writer that hands each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def _csv(told: Iterator[ToldRow]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(CSV_COLUMNS)
    for entry in told:
        row = entry.row
        changes = (row.available, row.held, row.spent, row.expired, row.available_after)
        yield writer.writerow(
            (
                row.id,
                row.created_at.isoformat(timespec="seconds"),
                row.kind,
                quoted(entry.title),
                quoted(entry.detail),
                *map(_figure, changes),
                row.hold_id or "",
                entry.image.asset_id if entry.image and entry.image.asset_id else "",
            )
        )


def _figure(millicredits: int) -> str:
    sign = "-" if millicredits < 0 else ""
    return f"{sign}{ledger.credits_text(abs(millicredits))}"


def _span(since: date, until: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From the beginning of the first day to the end of the last."""
    return datetime.combine(since, time(), tzinfo=zone), datetime.combine(
        until + timedelta(days=1), time(), tzinfo=zone
    )
