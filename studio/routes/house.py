"""Addresses of what surrounds the work: health, accounts, members, credits, notifications, operations."""

from typing import Final

from studio.http import Route
from studio.routes.access import (
    MANAGE_FORM,
    MANAGE_POST,
    MEMBER_FORM,
    PERSONAL,
    PERSONAL_FORM,
    PERSONAL_POST,
    PUBLIC,
    PUBLIC_FORM,
    STAFF,
    STAFF_FORM,
    STAFF_OR_TOKEN,
    STAFF_POST,
    VIEW,
    VIEW_MANAGE_FORM,
    VIEW_POST,
)
from studio.views import (
    budgets,
    credits,
    health,
    home,
    invitations,
    members,
    metrics,
    notifications,
    operations,
    production,
    profile,
    style,
    workspaces,
)

GENERAL: Final = (
    Route(path="health/", view=health.health, name="health", access=PUBLIC),
    Route(path="health/live/", view=health.live, name="health_live", access=PUBLIC),
    Route(path="health/ready/", view=health.ready, name="health_ready", access=PUBLIC),
    # Where every Prometheus looks, without the slash.
    Route(path="metrics", view=metrics.metrics, name="metrics", access=STAFF_OR_TOKEN),
    Route(path="", view=home.home, name="home", access=PERSONAL),
    Route(path="style/", view=style.style, name="style", access=PERSONAL_FORM),
    Route(path="", view=home.workspace, name="workspace", access=VIEW),
)

ACCOUNTS: Final = (
    Route(path="profile/", view=profile.profile, name="profile", access=PERSONAL_FORM),
    Route(path="workspaces/", view=workspaces.overview, name="workspaces", access=PERSONAL),
    Route(path="workspaces/new/", view=workspaces.create, name="workspace_new", access=PERSONAL_FORM),
    Route(path="invitations/<str:token>/", view=invitations.invitation, name="invitation", access=PUBLIC_FORM),
    Route(
        path="invitations/<int:invitation_id>/accept/",
        view=invitations.accept,
        name="invitation_accept",
        access=PERSONAL_POST,
        objects=("invitation",),
    ),
    Route(path="settings/", view=workspaces.settings, name="settings", access=VIEW_MANAGE_FORM),
    Route(path="settings/leave/", view=workspaces.leave, name="leave", access=MEMBER_FORM),
    Route(path="settings/members/", view=members.overview, name="members", access=VIEW_MANAGE_FORM),
    Route(
        path="settings/members/<int:membership_id>/role/",
        view=members.change_role,
        name="member_role",
        access=MANAGE_POST,
        objects=("membership",),
    ),
    Route(
        path="settings/members/<int:membership_id>/remove/",
        view=members.remove,
        name="member_remove",
        access=MANAGE_FORM,
        objects=("membership",),
    ),
    Route(
        path="settings/invitations/<int:invitation_id>/resend/",
        view=members.resend,
        name="invitation_resend",
        access=MANAGE_POST,
        objects=("invitation",),
    ),
    Route(
        path="settings/invitations/<int:invitation_id>/revoke/",
        view=members.revoke,
        name="invitation_revoke",
        access=MANAGE_POST,
        objects=("invitation",),
    ),
)

CREDITS: Final = (
    Route(path="credits/", view=credits.overview, name="credits", access=VIEW),
    Route(path="credits/usage/", view=credits.usage, name="credits_usage", access=VIEW),
    Route(path="credits/budgets/", view=budgets.overview, name="credits_budgets", access=VIEW),
    Route(path="credits/budgets/month/", view=budgets.ceiling, name="credits_ceiling", access=MANAGE_POST),
    Route(path="credits/budgets/more/", view=budgets.more, name="credits_more", access=MANAGE_POST),
    Route(
        path="credits/budgets/<int:budget>/",
        view=budgets.campaign_ceiling,
        name="credits_campaign_ceiling",
        access=MANAGE_POST,
        objects=("budget",),
    ),
    Route(path="credits/plan/", view=budgets.plan, name="credits_plan", access=VIEW_MANAGE_FORM),
    Route(path="credits/statement.csv", view=credits.download, name="credits_csv", access=VIEW),
    Route(path="credits/holds/<int:hold>/", view=credits.hold, name="credits_hold", access=VIEW, objects=("hold",)),
)

NOTIFICATIONS: Final = (
    Route(path="notifications/", view=notifications.overview, name="notifications", access=VIEW),
    Route(path="notifications/seen/", view=notifications.seen, name="notifications_seen", access=VIEW_POST),
)

OPERATIONS: Final = (
    Route(path="operations/", view=operations.overview, name="operations", access=STAFF),
    Route(path="operations/failures/", view=operations.failed, name="operations_failures", access=STAFF),
    Route(
        path="operations/generations/<int:generation>/retry/",
        view=operations.retry,
        name="operations_retry",
        access=STAFF_POST,
        objects=("generation",),
    ),
    Route(
        path="operations/workspaces/<int:workspace_id>/pause/",
        view=production.staff_pause,
        name="operations_pause",
        access=STAFF_POST,
        objects=("workspace",),
    ),
    Route(
        path="operations/workspaces/<int:workspace_id>/resume/",
        view=production.staff_resume,
        name="operations_resume",
        access=STAFF_POST,
        objects=("workspace",),
    ),
    Route(
        path="operations/workspaces/<int:workspace_id>/cancel/",
        view=production.staff_cancel,
        name="operations_cancel",
        access=STAFF_FORM,
        objects=("workspace",),
    ),
    Route(path="operations/installation/", view=operations.house, name="operations_house", access=STAFF_FORM),
    Route(path="operations/installation/audit/", view=operations.audit, name="operations_audit", access=STAFF_POST),
    Route(
        path="operations/installation/limits/<int:limit_id>/lift/",
        view=operations.lift,
        name="operations_lift",
        access=STAFF_POST,
        objects=("limit",),
    ),
)

PRODUCTION: Final = (
    Route(path="production/pause/", view=production.pause, name="production_pause", access=MANAGE_POST),
    Route(path="production/resume/", view=production.resume, name="production_resume", access=MANAGE_POST),
    Route(path="production/cancel/", view=production.cancel, name="production_cancel", access=MANAGE_FORM),
)
