"""Every address of the studio in one table: path, view, who may come in, and what its ids name.

studio.urls builds the URLconf from it; a test tries each row as everybody who could come along.
"""

from typing import Final

from studio.http import Access, Route
from studio.permissions import Action
from studio.views import (
    budgets,
    campaigns,
    credits,
    delivery,
    drafts,
    files,
    gallery,
    health,
    home,
    invitations,
    loras,
    members,
    metrics,
    notifications,
    operations,
    production,
    products,
    profile,
    projects,
    review,
    studio,
    studio_pictures,
    studio_results,
    style,
    workspaces,
)

PUBLIC: Final = Access(reads=Action.VIEW, is_public=True)
PUBLIC_FORM: Final = Access(reads=Action.VIEW, writes=Action.VIEW, is_public=True)
PERSONAL: Final = Access(reads=Action.VIEW, is_personal=True)
PERSONAL_FORM: Final = Access(reads=Action.VIEW, writes=Action.VIEW, is_personal=True)
PERSONAL_POST: Final = Access(writes=Action.VIEW, is_personal=True)
STAFF: Final = Access(reads=Action.VIEW, is_staff=True)
# Staff in the browser; Prometheus with a token.
STAFF_OR_TOKEN: Final = Access(reads=Action.VIEW, is_staff=True, takes_token=True)
STAFF_POST: Final = Access(writes=Action.VIEW, is_staff=True)
STAFF_FORM: Final = Access(reads=Action.VIEW, writes=Action.VIEW, is_staff=True)
VIEW: Final = Access(reads=Action.VIEW)
VIEW_POST: Final = Access(writes=Action.VIEW)
MEMBER_FORM: Final = Access(reads=Action.VIEW, writes=Action.VIEW)
PRODUCE_FORM: Final = Access(reads=Action.PRODUCE, writes=Action.PRODUCE)
PRODUCE_POST: Final = Access(writes=Action.PRODUCE)
REVIEW_PAGE: Final = Access(reads=Action.REVIEW)
REVIEW_POST: Final = Access(writes=Action.REVIEW)
VIEW_PRODUCE_FORM: Final = Access(reads=Action.VIEW, writes=Action.PRODUCE)
VIEW_MANAGE_FORM: Final = Access(reads=Action.VIEW, writes=Action.MANAGE)
MANAGE_FORM: Final = Access(reads=Action.MANAGE, writes=Action.MANAGE)
MANAGE_POST: Final = Access(writes=Action.MANAGE)

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

FILES: Final = (
    Route(
        path="assets/<int:asset>/<slug:kind>/",
        view=files.asset_file,
        name="asset_file",
        access=VIEW,
        objects=("asset",),
    ),
    Route(
        path="photos/<int:photo>/<slug:kind>/",
        view=files.photo_file,
        name="photo_file",
        access=VIEW,
        objects=("photo",),
    ),
    Route(
        path="pictures/<slug:picture>/<slug:kind>/",
        view=files.picture_file,
        name="picture_file",
        access=VIEW,
        objects=("picture",),
    ),
)

REVIEW: Final = (
    Route(path="review/", view=review.queues, name="review", access=VIEW),
    Route(path="review/next/", view=review.start, name="review_next", access=REVIEW_PAGE),
    Route(path="review/undo/", view=review.undo, name="review_undo", access=REVIEW_POST),
    Route(
        path="review/decisions/<int:decision>/take-back/",
        view=review.take_back,
        name="review_take_back",
        access=REVIEW_POST,
        objects=("decision",),
    ),
    Route(path="review/<int:asset>/", view=review.image, name="review_image", access=REVIEW_PAGE, objects=("asset",)),
    Route(
        path="review/<int:asset>/decide/",
        view=review.decide,
        name="review_decide",
        access=REVIEW_POST,
        objects=("asset",),
    ),
    Route(
        path="review/<int:asset>/siblings/",
        view=review.approve_siblings,
        name="review_siblings",
        access=REVIEW_POST,
        objects=("asset",),
        body=(("sibling", "asset"),),
    ),
    Route(
        path="review/<int:asset>/keep/", view=review.keep, name="review_keep", access=REVIEW_POST, objects=("asset",)
    ),
    Route(
        path="review/<int:asset>/leave/", view=review.leave, name="review_leave", access=REVIEW_POST, objects=("asset",)
    ),
)

GALLERY: Final = (
    Route(path="gallery/", view=gallery.overview, name="gallery", access=VIEW),
    Route(path="gallery/<int:asset>/", view=gallery.detail, name="gallery_image", access=VIEW, objects=("asset",)),
    Route(
        path="gallery/<int:asset>/tags/<int:tag>/remove/",
        view=gallery.untag,
        name="gallery_untag",
        access=PRODUCE_POST,
        objects=("asset", "tag"),
    ),
    Route(
        path="gallery/archive/",
        view=gallery.archive,
        name="gallery_archive",
        access=PRODUCE_POST,
        body=(("asset", "asset"),),
    ),
    Route(
        path="gallery/restore/",
        view=gallery.restore,
        name="gallery_restore",
        access=PRODUCE_POST,
        body=(("asset", "asset"),),
    ),
    Route(
        path="gallery/tag/",
        view=gallery.tag,
        name="gallery_tag",
        access=PRODUCE_POST,
        body=(("asset", "asset"),),
    ),
    Route(
        path="delivery/",
        view=delivery.overview,
        name="delivery",
        access=MEMBER_FORM,
        body=(("asset", "asset"), ("of_campaign", "campaign"), ("of_project", "project")),
    ),
)

PROJECTS: Final = (
    Route(path="projects/", view=projects.overview, name="projects", access=VIEW_PRODUCE_FORM),
    Route(
        path="projects/<int:project>/",
        view=projects.project,
        name="project",
        access=VIEW_PRODUCE_FORM,
        objects=("project",),
    ),
    Route(
        path="projects/<int:project>/archive/",
        view=projects.archive,
        name="project_archive",
        access=PRODUCE_POST,
        objects=("project",),
    ),
    Route(
        path="projects/<int:project>/remove/",
        view=projects.remove,
        name="project_remove",
        access=PRODUCE_POST,
        objects=("project",),
        body=(("asset", "asset"),),
    ),
    Route(
        path="projects/<int:project>/move/",
        view=projects.move,
        name="project_move",
        access=PRODUCE_POST,
        objects=("project",),
        body=(("asset", "asset"), ("target", "project")),
    ),
    Route(
        path="projects/add/",
        view=projects.add,
        name="project_add",
        access=PRODUCE_POST,
        body=(("asset", "asset"), ("project", "project")),
    ),
    Route(
        path="projects/campaign/",
        view=projects.move_campaign,
        name="project_campaign",
        access=PRODUCE_POST,
        body=(("campaign", "campaign"), ("project", "project")),
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
)

PRODUCTION: Final = (
    Route(path="production/pause/", view=production.pause, name="production_pause", access=MANAGE_POST),
    Route(path="production/resume/", view=production.resume, name="production_resume", access=MANAGE_POST),
    Route(path="production/cancel/", view=production.cancel, name="production_cancel", access=MANAGE_FORM),
)

# The pictures that the Studio's form names.
PICTURES: Final = tuple((name, "picture") for name in ("base", "lock", "control", "look"))

STUDIO: Final = (
    Route(
        path="studio/",
        view=studio.studio,
        name="studio",
        access=VIEW_PRODUCE_FORM,
        body=(("lora", "lora"), ("base", "picture"), ("lock", "picture")),
    ),
    Route(
        path="studio/estimate/",
        view=studio.estimate,
        name="studio_estimate",
        access=PRODUCE_POST,
        body=(("lora", "lora"), ("base", "picture"), ("lock", "picture")),
    ),
    Route(
        path="studio/references/",
        view=studio_pictures.references,
        name="studio_references",
        access=PRODUCE_POST,
        body=(("chosen", "picture"), *PICTURES),
    ),
    Route(
        path="studio/edit/<slug:picture>/",
        view=studio_pictures.edit,
        name="studio_edit",
        access=PRODUCE_FORM,
        objects=("picture",),
    ),
    Route(path="studio/poll/", view=studio_results.poll, name="studio_poll", access=VIEW),
    Route(path="studio/compare/", view=studio_results.compare, name="studio_compare", access=VIEW),
    Route(
        path="studio/generations/<int:generation_id>/cancel/",
        view=studio_results.cancel,
        name="studio_cancel",
        access=PRODUCE_POST,
        objects=("generation",),
    ),
    Route(
        path="studio/renders/<int:render_id>/cancel/",
        view=studio_results.cancel_render,
        name="studio_cancel_render",
        access=PRODUCE_POST,
        objects=("render",),
    ),
    Route(
        path="studio/renders/<int:render_id>/another/",
        view=studio.another,
        name="studio_another",
        access=PRODUCE_POST,
        objects=("render",),
    ),
    Route(
        path="renders/<int:render_id>/preview/",
        view=studio_results.preview_file,
        name="preview_file",
        access=VIEW,
        objects=("render",),
    ),
)

LORAS: Final = (
    Route(path="loras/", view=loras.overview, name="loras", access=VIEW),
    Route(path="loras/add/", view=loras.add, name="loras_add", access=PRODUCE_POST),
    Route(path="loras/checks/", view=loras.checks, name="loras_checks", access=VIEW),
    Route(path="loras/<int:lora_id>/", view=loras.lora, name="lora", access=VIEW_PRODUCE_FORM, objects=("lora",)),
    Route(
        path="loras/<int:lora_id>/archive/",
        view=loras.archive,
        name="lora_archive",
        access=PRODUCE_POST,
        objects=("lora",),
    ),
    Route(
        path="loras/<int:lora_id>/restore/",
        view=loras.restore,
        name="lora_restore",
        access=PRODUCE_POST,
        objects=("lora",),
    ),
    Route(
        path="loras/<int:lora_id>/check/",
        view=loras.check_again,
        name="lora_check",
        access=PRODUCE_POST,
        objects=("lora",),
    ),
    Route(
        path="loras/<int:lora_id>/dismiss/",
        view=loras.dismiss,
        name="lora_dismiss",
        access=PRODUCE_POST,
        objects=("lora",),
    ),
)

CAMPAIGNS: Final = (
    Route(
        path="campaigns/",
        view=campaigns.overview,
        name="campaigns",
        access=VIEW,
    ),
    Route(
        path="campaigns/progress/",
        view=campaigns.progress,
        name="campaigns_progress",
        access=VIEW,
    ),
    Route(
        path="campaigns/new/",
        view=drafts.new,
        name="campaign_new",
        access=PRODUCE_FORM,
    ),
    Route(
        path="campaigns/check/",
        view=drafts.check,
        name="campaign_check",
        access=PRODUCE_POST,
    ),
    Route(
        path="campaigns/import/",
        view=drafts.take_in,
        name="campaign_import",
        access=PRODUCE_FORM,
    ),
    Route(
        path="campaigns/<int:campaign_id>/",
        view=campaigns.campaign,
        name="campaign",
        access=VIEW,
        objects=("campaign",),
    ),
    Route(
        path="campaigns/<int:campaign_id>/changes/",
        view=campaigns.changes,
        name="campaign_changes",
        access=VIEW,
        objects=("campaign",),
    ),
    Route(
        path="campaigns/<int:campaign_id>/launch-again/",
        view=campaigns.launch_again,
        name="campaign_launch_again",
        access=PRODUCE_POST,
        objects=("campaign",),
    ),
    Route(
        path="campaigns/<int:campaign_id>/pause/",
        view=campaigns.pause,
        name="campaign_pause",
        access=PRODUCE_POST,
        objects=("campaign",),
    ),
    Route(
        path="campaigns/<int:campaign_id>/resume/",
        view=campaigns.resume,
        name="campaign_resume",
        access=PRODUCE_POST,
        objects=("campaign",),
    ),
    Route(
        path="campaigns/<int:campaign_id>/cancel/",
        view=campaigns.cancel,
        name="campaign_cancel",
        access=PRODUCE_FORM,
        objects=("campaign",),
    ),
    Route(
        path="campaigns/<int:campaign_id>/duplicate/",
        view=campaigns.duplicate,
        name="campaign_duplicate",
        access=PRODUCE_POST,
        objects=("campaign",),
    ),
    Route(
        path="campaigns/<int:campaign_id>/brief.toml",
        view=campaigns.export_brief,
        name="campaign_brief",
        access=VIEW,
        objects=("campaign",),
    ),
    Route(
        path="campaigns/<int:campaign_id>/package.zip",
        view=campaigns.export_package,
        name="campaign_package",
        access=VIEW,
        objects=("campaign",),
    ),
    Route(
        path="campaigns/<int:campaign_id>/cells/<int:cell_id>/",
        view=campaigns.cell,
        name="cell",
        access=VIEW,
        objects=("campaign", "cell"),
    ),
    Route(
        path="campaigns/<int:campaign_id>/cells/<int:cell_id>/run-again/",
        view=campaigns.run_again,
        name="cell_run_again",
        access=PRODUCE_POST,
        objects=("campaign", "cell"),
    ),
    Route(
        path="drafts/<int:draft_id>/",
        view=drafts.draft,
        name="draft",
        access=PRODUCE_FORM,
        objects=("draft",),
    ),
    Route(
        path="drafts/<int:draft_id>/launch/",
        view=drafts.launch,
        name="draft_launch",
        access=PRODUCE_FORM,
        objects=("draft",),
    ),
    Route(
        path="drafts/<int:draft_id>/duplicate/",
        view=drafts.duplicate,
        name="draft_duplicate",
        access=PRODUCE_POST,
        objects=("draft",),
    ),
    Route(
        path="drafts/<int:draft_id>/discard/",
        view=drafts.discard,
        name="draft_discard",
        access=PRODUCE_FORM,
        objects=("draft",),
    ),
    Route(
        path="drafts/<int:draft_id>/brief.toml",
        view=drafts.export_brief,
        name="draft_brief",
        access=VIEW,
        objects=("draft",),
    ),
    Route(
        path="drafts/<int:draft_id>/package.zip",
        view=drafts.export_package,
        name="draft_package",
        access=VIEW,
        objects=("draft",),
    ),
    Route(
        path="products/",
        view=products.overview,
        name="products",
        access=VIEW,
    ),
    Route(
        path="products/masks/",
        view=products.masks,
        name="products_masks",
        access=VIEW,
    ),
    Route(
        path="products/add/",
        view=products.add,
        name="products_add",
        access=PRODUCE_POST,
    ),
    Route(
        path="products/add-csv/",
        view=products.add_csv,
        name="products_add_csv",
        access=PRODUCE_POST,
    ),
    Route(
        path="products/<int:product_id>/",
        view=products.product,
        name="product",
        access=VIEW_PRODUCE_FORM,
        objects=("product",),
    ),
    Route(
        path="products/<int:product_id>/photo/",
        view=products.replace_photo,
        name="product_photo",
        access=PRODUCE_POST,
        objects=("product",),
    ),
    Route(
        path="products/<int:product_id>/mask/",
        view=products.retry_mask,
        name="product_mask",
        access=PRODUCE_POST,
        objects=("product",),
    ),
    Route(
        path="products/<int:product_id>/remove/",
        view=products.remove,
        name="product_remove",
        access=PRODUCE_FORM,
        objects=("product",),
    ),
)

ROUTES: Final = (
    *ACCOUNTS,
    *CAMPAIGNS,
    *FILES,
    *GENERAL,
    *LORAS,
    *REVIEW,
    *GALLERY,
    *PROJECTS,
    *CREDITS,
    *NOTIFICATIONS,
    *OPERATIONS,
    *PRODUCTION,
    *STUDIO,
)
