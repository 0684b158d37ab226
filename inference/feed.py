"""What a person made in the Studio, newest first: each click with its images and how far they are. Only reads."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from inference import catalog, previews, pricing, progress, styles
from inference.catalog import CatalogEntry
from inference.generate import Settings
from inference.models import Generation, Render
from inference.progress import RenderProgress
from inference.requests import ImageRequest
from inference.styles import Style

PAGE = 8


@dataclass(frozen=True, kw_only=True)
class Result:
    """One image asked for: its delivered size in pixels, its seed, what one more costs (millicredits), its progress.

    `can_vary`: whether another seed makes another image.
    `preview` is a data URI: a page that is told of a new step shows it at once, without asking again.
    """

    render_id: int
    generation_id: int
    width: int
    height: int
    seed: int
    prompt: str
    price: int
    can_vary: bool
    progress: RenderProgress
    preview: str
    mark: str


@dataclass(frozen=True, kw_only=True)
class Click:
    """One generation as it was asked for, with its images in order."""

    id: int
    asked_at: datetime
    settings: Settings
    entry: CatalogEntry
    style: Style
    results: tuple[Result, ...]

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is on its way any more."""
        return all(result.progress.is_over for result in self.results)

    @property
    def is_done(self) -> bool:
        """Whether there is something to look at."""
        return any(result.progress.asset_id for result in self.results)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some clicks, newest first, and what to pass as ``before`` for those after them."""

    clicks: tuple[Click, ...]
    next_before: int | None

    @property
    def live(self) -> tuple[Result, ...]:
        """The images that are still on their way."""
        return tuple(result for click in self.clicks for result in click.results if not result.progress.is_over)


def is_unattended(results: Iterable[Result]) -> bool:
    """Whether images wait that no worker comes for."""
    return any(result.progress.is_unattended for result in results)


def page(*, workspace_id: int, created_by_id: int, before: int | None, now: datetime) -> Page:
    """A page of a person's clicks in a workspace, in two queries and those of `progress.of_renders`."""
    asked = Generation.objects.filter(workspace_id=workspace_id, created_by_id=created_by_id, settings__isnull=False)
    if before is not None:
        asked = asked.filter(pk__lt=before)
    rows = list(asked.order_by("-pk")[: PAGE + 1])
    clicks = _clicks(rows[:PAGE], now)
    return Page(clicks=clicks, next_before=rows[PAGE - 1].pk if len(rows) > PAGE else None)


def of(*, generation_ids: Collection[int], workspace_id: int, now: datetime) -> tuple[Click, ...]:
    """Some clicks of a workspace, newest first."""
    asked = Generation.objects.filter(pk__in=generation_ids, workspace_id=workspace_id, settings__isnull=False)
    return _clicks(list(asked.order_by("-pk")), now)


def with_renders(*, render_ids: Collection[int], workspace_id: int, now: datetime) -> tuple[Click, ...]:
    """The clicks of a workspace that have any of these renders, newest first."""
    if not render_ids:
        return ()
    asked = Generation.objects.filter(workspace_id=workspace_id, settings__isnull=False)
    return _clicks(list(asked.filter(renders__in=render_ids).distinct().order_by("-pk")), now)


def _clicks(generations: Sequence[Generation], now: datetime) -> tuple[Click, ...]:
    renders = list(Render.objects.filter(generation__in=generations).order_by("pk"))
    states = progress.of_renders([render.pk for render in renders], now=now) if renders else {}
    # A render that ended between the two looks is shown by the later one; one that went missing cannot be.
    results = [_result(render, states[render.pk], now) for render in renders if render.pk in states]
    return tuple(
        _click(generation, tuple(each for each in results if each.generation_id == generation.pk))
        for generation in generations
    )


def _result(render: Render, state: RenderProgress, now: datetime) -> Result:
    request = ImageRequest.from_json(render.request)
    return Result(
        render_id=render.pk,
        generation_id=render.generation_id,
        width=render.request["width"],
        height=render.request["height"],
        seed=render.seed,
        prompt=render.request["prompt"],
        price=pricing.likely(request, catalog.entry(render.checkpoint)),
        can_vary=request.task != "enlarge",
        progress=state,
        preview=previews.data_uri(render.pk) if state.preview_key else "",
        mark=progress.mark(state, now=now),
    )


def _click(generation: Generation, results: tuple[Result, ...]) -> Click:
    settings = Settings.from_json(generation.settings or {})
    return Click(
        id=generation.pk,
        asked_at=generation.created_at,
        settings=settings,
        entry=catalog.entry(settings.checkpoint),
        style=styles.load().get(settings.style) or styles.style(styles.AUTO),
        results=results,
    )
