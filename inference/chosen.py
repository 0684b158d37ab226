"""A picture of a workspace as somebody names it on a page: "asset-12" for one that was made, "upload-7" for one that
came in. Knows rows and their sizes, nothing of what the picture is wanted for.
"""

import re
from dataclasses import dataclass

from gallery.models import Asset, Upload, UploadStatus

NAME = re.compile(r"(asset|upload)-([1-9]\d{0,17})")


@dataclass(frozen=True, kw_only=True)
class ChosenPicture:
    """One picture: its name, its storage key, its size in pixels, and what people know it by."""

    name: str
    storage_key: str
    width: int
    height: int
    title: str
    has_alpha: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height


def find(name: str, *, workspace_id: int) -> ChosenPicture | None:
    """The picture of this name; None where the workspace has none, whoever else may."""
    parts = NAME.fullmatch(name)
    if parts is None:
        return None
    kind, pk = parts[1], int(parts[2])
    if kind == "asset":
        asset = Asset.objects.filter(workspace_id=workspace_id, pk=pk).first()
        return None if asset is None else of_asset(asset)
    upload = Upload.objects.filter(workspace_id=workspace_id, pk=pk, status=UploadStatus.CLEAN).first()
    return None if upload is None else of_upload(upload)


def of_asset(asset: Asset) -> ChosenPicture:
    """An image that was made."""
    return ChosenPicture(
        name=f"asset-{asset.pk}",
        storage_key=asset.storage_key,
        width=asset.width,
        height=asset.height,
        title=f"Image {asset.pk}",
    )


def of_upload(upload: Upload) -> ChosenPicture:
    """A clean upload."""
    return ChosenPicture(
        name=f"upload-{upload.pk}",
        storage_key=upload.storage_key,
        width=upload.width,
        height=upload.height,
        title=upload.name,
        has_alpha=upload.has_alpha,
    )
