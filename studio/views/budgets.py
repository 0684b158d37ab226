"""What the workspace may spend, and what it is given: its budgets and its plan. Owners decide, everybody reads."""

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from billing import budgets, clock, ledger, plan_choice
from billing.budgets import BudgetRefusedError, BudgetState
from billing.plan_choice import PlanRefusedError
from campaigns import charges
from studio import credit_words
from studio.forms.credits import BudgetForm, ExcessForm, MonthForm, PlanForm
from studio.http import StudioRequest
from studio.templatetags.credits import in_words

WARNS_FROM_PERCENT = 80


def overview(request: StudioRequest) -> HttpResponse:
    """The month's budget, the campaigns', and what owners decided."""
    return render(request, "credits/budgets.html", _budgets(request))


def ceiling(request: StudioRequest) -> HttpResponse:
    """Give the workspace a ceiling for this month and those that follow, or none."""
    form = MonthForm(request.POST, auto_id="month-%s")
    if form.is_valid():
        try:
            budgets.set_month_ceiling(
                workspace_id=request.workspace.pk,
                amount=form.amount,
                key=str(form.cleaned_data["key"]),
                by_id=request.user.pk,
                now=clock.now(),
            )
        except BudgetRefusedError as refused:
            form.add_error("amount_credits", str(refused))
        else:
            said = "No limit from this month on." if form.amount is None else f"{in_words(form.amount)} a month."
            return _saved(request, said)
    return render(request, "credits/budgets.html", _budgets(request, month_form=form), status=422)


def more(request: StudioRequest) -> HttpResponse:
    """Let this month pass its ceiling once."""
    form = ExcessForm(request.POST, auto_id="more-%s")
    if form.is_valid():
        try:
            budgets.allow_more(
                workspace_id=request.workspace.pk,
                amount=form.amount or 0,
                key=str(form.cleaned_data["key"]),
                by_id=request.user.pk,
                now=clock.now(),
            )
        except BudgetRefusedError as refused:
            form.add_error("amount_credits", str(refused))
        else:
            return _saved(request, f"{in_words(form.amount or 0)} more this month.")
    return render(request, "credits/budgets.html", _budgets(request, more_form=form), status=422)


def campaign_ceiling(request: StudioRequest, budget: int) -> HttpResponse:
    """Give a campaign's budget another ceiling."""
    if not any(each.id == budget for each in budgets.campaigns(workspace_id=request.workspace.pk)):
        raise Http404
    form = _campaign_form(budget, request.POST)
    if form.is_valid():
        try:
            budgets.set_campaign_ceiling(
                workspace_id=request.workspace.pk,
                budget_id=budget,
                amount=form.amount or 0,
                key=str(form.cleaned_data["key"]),
                by_id=request.user.pk,
                now=clock.now(),
            )
        except BudgetRefusedError as refused:
            form.add_error("amount_credits", str(refused))
        else:
            return _saved(request, f"The ceiling is {in_words(form.amount or 0)}.")
    return render(request, "credits/budgets.html", _budgets(request, campaign_form=(budget, form)), status=422)


def plan(request: StudioRequest) -> HttpResponse:
    """Every plan with what choosing it changes and when; with POST, choose one."""
    workspace_id, now = request.workspace.pk, clock.now()
    # Whatever the day and the month still give is given by the plan that stood until now.
    ledger.top_up(workspace_id=workspace_id, now=now)
    if request.method == "POST":
        return _choose(request)
    today = now.astimezone(ZoneInfo(request.workspace.time_zone)).date()
    offers = [
        (offer, credit_words.plan_change(offer, today=today))
        for offer in plan_choice.offers(workspace_id=workspace_id, now=now)
    ]
    current = next(offer.plan for offer, _ in offers if offer.is_current)
    decisions = plan_choice.decisions(workspace_id=workspace_id)
    return render(request, "credits/plan.html", {"offers": offers, "plan": current, "decisions": decisions})


def _choose(request: StudioRequest) -> HttpResponse:
    form = PlanForm(request.POST)
    try:
        if not form.is_valid():
            raise PlanRefusedError("There is no such plan. Choose one of those that are shown.")
        given = form.cleaned_data
        plan_choice.choose(
            workspace_id=request.workspace.pk,
            plan=given["plan"],
            instead_of=given["instead_of"],
            by_id=request.user.pk,
            now=clock.now(),
        )
    except PlanRefusedError as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, "The plan is changed.")
    return redirect("credits_plan", request.workspace.slug)


def _saved(request: StudioRequest, said: str) -> HttpResponse:
    messages.success(request, f"Saved: {said}")
    return redirect("credits_budgets", request.workspace.slug)


def _budgets(
    request: StudioRequest,
    *,
    month_form: MonthForm | None = None,
    more_form: ExcessForm | None = None,
    campaign_form: tuple[int, BudgetForm] | None = None,
) -> dict[str, Any]:
    workspace_id = request.workspace.pk
    month = budgets.month(workspace_id=workspace_id, now=clock.now())
    of_campaigns = budgets.campaigns(workspace_id=workspace_id)
    ids = charges.campaigns_of_budgets([budget.id for budget in of_campaigns if budget.id])
    sent = dict([campaign_form] if campaign_form else [])
    return {
        "month": month,
        "is_nearly_used": month.percent >= WARNS_FROM_PERCENT,
        "month_form": month_form or MonthForm(initial=_initial(month), auto_id="month-%s"),
        "more_form": more_form or ExcessForm(auto_id="more-%s"),
        "campaigns": [
            (budget, ids.get(budget.id or 0), sent.get(budget.id or 0) or _campaign_form(budget.id or 0, of=budget))
            for budget in of_campaigns
        ],
        "decisions": [
            (decision, credit_words.budget_decision(decision))
            for decision in budgets.decisions(workspace_id=workspace_id)
        ],
    }


def _campaign_form(budget_id: int, data: Any = None, *, of: BudgetState | None = None) -> BudgetForm:
    return BudgetForm(data, initial=_initial(of) if of else None, auto_id=f"budget-{budget_id}-%s")


def _initial(budget: BudgetState) -> dict[str, str]:
    return {} if budget.amount is None else {"amount_credits": ledger.credits_text(budget.amount)}
