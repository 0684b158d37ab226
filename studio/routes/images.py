"""Addresses of finished images: files, review, gallery and delivery, projects."""

from typing import Final

from studio.http import Route
from studio.routes.access import MEMBER_FORM, PRODUCE_POST, REVIEW_PAGE, REVIEW_POST, VIEW, VIEW_PRODUCE_FORM
from studio.views import delivery, files, gallery, projects, review

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
