"""One object of each kind that an address can name, made in whichever workspace is asked for.

tests.studio.test_routes tries every row of studio.routes with them, own and foreign. A row whose ``objects`` or
``body`` names a kind that has no maker here fails there. To add a kind, write a maker and decorate it with its name:

    @sample("cell")
    def cell(made: Samples) -> Cell:
        return Cell.objects.create(campaign=made["campaign"], ...)

``made.workspace`` is the workspace; ``made["campaign"]`` is its campaign, made on first use and the same one
afterwards, so that a cell lies in the campaign that stands before it in the path. A maker that returns a model's
instance stands for its primary key, anything else for itself. A parameter of a path that names no object needs an
entry in PARAMETERS.
"""

from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

import numpy as np
from django.db.models import Model

from billing import ledger
from campaigns.entered import Entered
from campaigns.models import Campaign, Cell, Draft, Photo, Product
from gallery import library, projects, review, storage
from gallery.models import Asset, Decision, Project, Tag, Upload, UploadStatus
from inference import previews
from inference.generate import Settings
from inference.models import BatchLimit, Generation, Lora, LoraStatus, Render
from studio import members
from studio.models import Invitation, Membership, Role, User, Workspace
from tests.conftest import NOW
from tests.inference.desk import PICTURE, Desk

Maker = Callable[["Samples"], Any]
MAKERS: Final[dict[str, Maker]] = {}
# What stands in a path for a parameter that names no object.
PARAMETERS: Final[dict[str, str]] = {"kind": "original", "token": "no-such-token"}


def sample(kind: str) -> Callable[[Maker], Maker]:
    """Register a maker under the name that rows of studio.routes use."""

    def register(maker: Maker) -> Maker:
        assert kind not in MAKERS, f"two makers of {kind}"
        MAKERS[kind] = maker
        return maker

    return register


class Samples:
    """The objects of one workspace, each made when it is first asked for."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._made: dict[str, Any] = {}

    def __getitem__(self, kind: str) -> Any:
        if kind not in self._made:
            self._made[kind] = MAKERS[kind](self)
        return self._made[kind]

    def id(self, kind: str) -> Any:
        """What stands in an address for the object."""
        made = self[kind]
        return made.pk if isinstance(made, Model) else made


@sample("workspace")
def workspace(made: Samples) -> Workspace:
    return made.workspace


@sample("membership")
def membership(made: Samples) -> Membership:
    user = User.objects.create(email=f"somebody@{made.workspace.slug}.example.com")
    return Membership.objects.create(workspace=made.workspace, user=user, role=Role.VIEWER)


@sample("invitation")
def invitation(made: Samples) -> Invitation:
    by = Membership.objects.get(workspace=made.workspace, role=Role.OWNER).user_id
    invited = members.invite(
        workspace_id=made.workspace.pk, email="invited@example.com", role=Role.VIEWER, by_id=by, now=NOW
    )
    return invited.invitation


@sample("asset")
def asset(made: Samples) -> Asset:
    key = storage.put(made.workspace.pk, PICTURE, suffix=".png")
    image = library.StoredImage(storage_key=key, sha256="0" * 64, width=256, height=256, size_bytes=len(PICTURE))
    generated = library.GeneratedImage(file=image, recipe={}, recipe_hash="")
    [pk] = library.add_generated(workspace_id=made.workspace.pk, images=[generated], now=NOW)
    return Asset.objects.get(pk=pk)


@sample("picture")
def picture(made: Samples) -> str:
    """An asset as the Studio's form names it."""
    return f"asset-{made['asset'].pk}"


@sample("decision")
def decision(made: Samples) -> Decision:
    by = Membership.objects.get(workspace=made.workspace, role=Role.OWNER).user_id
    pk = review.request_changes(made["asset"].pk, by_id=by, note="Lighter, please.", now=NOW)
    return Decision.objects.get(pk=pk)


@sample("tag")
def tag(made: Samples) -> Tag:
    return library.tag(workspace_id=made.workspace.pk, asset_ids=[made["asset"].pk], name="Hero")


@sample("project")
def project(made: Samples) -> Project:
    return projects.create(workspace_id=made.workspace.pk, name="Spring", now=NOW)


@sample("product")
def product(made: Samples) -> Product:
    return Product.objects.create(workspace=made.workspace, sku="MUG", title="A mug", created_at=NOW)


@sample("photo")
def photo(made: Samples) -> Photo:
    upload = Upload.objects.create(
        workspace=made.workspace,
        status=UploadStatus.CLEAN,
        name="mug.png",
        source_sha256="0" * 64,
        source_size_bytes=len(PICTURE),
        storage_key=storage.put(made.workspace.pk, PICTURE, suffix=".png"),
        sha256="0" * 64,
        width=256,
        height=256,
        created_at=NOW,
    )
    return Photo.objects.create(workspace=made.workspace, product=made["product"], upload=upload, created_at=NOW)


@sample("campaign")
def campaign(made: Samples) -> Campaign:
    return Campaign.objects.create(
        workspace=made.workspace,
        name="Shelf",
        brief="",
        digest="0" * 64,
        checkpoint="starter",
        images_per_cell=1,
        axes=["surface"],
        created_at=NOW,
    )


@sample("cell")
def cell(made: Samples) -> Cell:
    return Cell.objects.create(
        campaign=made["campaign"],
        position=1,
        key="MUG/square/wood",
        product=made["product"],
        photo=made["photo"],
        channel="square",
        placement={"scale": 0.6, "anchor": "center"},
        width=256,
        height=256,
        axes={"surface": "wood"},
        prompt="A mug on wood.",
        seeds=[1],
    )


@sample("draft")
def draft(made: Samples) -> Draft:
    return Draft.objects.create(
        workspace=made.workspace,
        key=uuid4(),
        name="Spring shelf",
        entered=Entered().to_json(),
        created_at=NOW,
        saved_at=NOW,
    )


@sample("generation")
def generation(made: Samples) -> Generation:
    settings = Settings(checkpoint="starter", prompt="a mug on a table")
    return Desk(made.workspace.pk).ask(2, settings=settings.to_json())[0]


@sample("render")
def render(made: Samples) -> Render:
    found = Render.objects.filter(generation=made["generation"]).earliest("pk")
    previews.store({found.pk: np.zeros((8, 8, 3), dtype=np.uint8)})
    return found


@sample("lora")
def lora(made: Samples) -> Lora:
    return Lora.objects.create(
        workspace=made.workspace,
        status=LoraStatus.CLEAN,
        name="Soft light",
        trigger_words="soft light",
        file_name="soft.safetensors",
        size_bytes=len(PICTURE),
        sha256="0" * 64,
        storage_key=storage.put(made.workspace.pk, PICTURE, suffix=".safetensors"),
        style="kohya",
        family="sd",
        parts=["unet"],
        least_rank=4,
        rank=4,
        fits=["starter"],
        created_at=NOW,
        decided_at=NOW,
    )


@sample("limit")
def limit(made: Samples) -> BatchLimit:
    found, _ = BatchLimit.objects.get_or_create(
        checkpoint="starter", device_class="cpu", defaults={"size": 2, "failed_size": 4, "found_at": NOW}
    )
    return found


@sample("budget")
def budget(made: Samples) -> int:
    return ledger.open_budget(workspace_id=made.workspace.pk, name="Autumn", amount=50_000)


@sample("hold")
def hold(made: Samples) -> int:
    return made["generation"].hold_id
