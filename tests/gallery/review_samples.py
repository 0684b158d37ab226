"""Assets to decide about: stored, paid for, asked for by somebody."""

from itertools import count

from billing import ledger
from gallery import library, storage
from gallery.models import Asset, Decision, Review
from studio.models import Membership, Role, User, Workspace
from tests.conftest import NOW

PRICE = 1000
_numbers = count(1)


def person(workspace: Workspace, name: str, role: Role = Role.REVIEWER) -> User:
    user = User.objects.create(email=f"{name}@example.com", username=name, first_name=name.title())
    Membership.objects.create(workspace=workspace, user=user, role=role)
    return user


def paid_asset(workspace: Workspace, *, created_by: User | None = None) -> Asset:
    """An asset whose credits were held and captured, as the queue does."""
    number = next(_numbers)
    held = ledger.hold(workspace_id=workspace.pk, key=f"asset {number}", amounts=[PRICE], tier="standard", now=NOW)
    line_id = held.lines.values_list("pk", flat=True).get()
    ledger.capture(line_id=line_id, amount=PRICE, now=NOW)
    data = f"the bytes of image {number}".encode()
    key = storage.put(workspace.pk, data, suffix=".png")
    image = library.StoredImage(
        storage_key=key,
        sha256=key.partition("/")[2].removesuffix(".png"),
        width=100,
        height=80,
        size_bytes=len(data),
    )
    made = library.GeneratedImage(
        file=image,
        prompt=f"scene {number}",
        recipe={},
        recipe_hash=f"{number:064}",
        hold_line_id=line_id,
        created_by_id=created_by.pk if created_by else None,
    )
    [pk] = library.add_generated(workspace_id=workspace.pk, images=[made], now=NOW)
    return Asset.objects.get(pk=pk)


def status(asset: Asset) -> str:
    return Review.objects.get(asset=asset).status


def decisions(asset: Asset) -> list[str]:
    return list(Decision.objects.filter(review__asset=asset).order_by("pk").values_list("verdict", flat=True))


def spent(workspace: Workspace) -> int:
    return ledger.balance(workspace_id=workspace.pk).spent
