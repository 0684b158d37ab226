"""A click in the Studio: what it asks for, what it costs, that it happens once, and how to ask for it again."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from billing import ledger
from billing.ledger import InsufficientCreditsError
from inference import catalog, generate, offers, queue
from inference.catalog import CatalogEntry
from inference.generate import Settings
from inference.models import Generation, Render, StudioDraft
from inference.offers import NotOfferedError
from inference.queue import FLAWED
from inference.references import RequestError
from inference.requests import SEED_LIMIT
from studio.models import User
from tests.conftest import NOW
from tests.inference.desk import claim, complete, worker

MUG = Settings(checkpoint="starter", prompt="a mug on a table")


@pytest.fixture
def user(db) -> User:
    return User.objects.create(email="maker@example.com")


@pytest.fixture
def click(workspace, user):
    def ask(settings: Settings = MUG, *, key: str = "one") -> Generation:
        return generate.generate(workspace_id=workspace.pk, created_by_id=user.pk, key=key, settings=settings, now=NOW)

    return ask


def renders(generation: Generation) -> list[Render]:
    return list(generation.renders.order_by("pk"))


# --- settings to requests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", catalog.load().values(), ids=lambda entry: entry.slug)
@pytest.mark.parametrize("aspect", generate.ASPECTS)
def test_an_aspect_is_kept_to_the_pixel_and_never_enlarged(entry, aspect):
    width, height = generate.size(replace(MUG, aspect=aspect), entry)
    across, down = generate.ASPECTS[aspect]
    assert abs(width * down - height * across) <= max(across, down)
    assert any(width <= w and height <= h and (width == w or height == h) for w, h in entry.sizes)


def test_a_size_of_ones_own_needs_both_sides():
    own = replace(MUG, aspect="own", width=300, height=120)
    assert generate.size(own, catalog.entry("starter")) == (300, 120)
    with pytest.raises(RequestError, match="width and the height"):
        generate.size(replace(own, height=None), catalog.entry("starter"))


def test_images_of_a_click_have_seeds_that_follow_each_other():
    wanted = replace(MUG, count=3)
    assert [each.seed for each in generate.requests(wanted, seed=7, workspace_id=1)] == [7, 8, 9]
    assert [each.seed for each in generate.requests(wanted, seed=SEED_LIMIT - 1, workspace_id=1)] == [
        SEED_LIMIT - 1,
        0,
        1,
    ]
    assert len({replace(each, seed=0) for each in generate.requests(wanted, seed=7, workspace_id=1)}) == 1


def test_what_the_form_leaves_open_is_the_models_own():
    [request] = generate.requests(MUG, seed=1, workspace_id=1)
    defaults = catalog.entry("starter").defaults
    assert (request.num_inference_steps, request.guidance_scale) == (12, defaults.guidance_scale)
    chosen = replace(MUG, num_inference_steps=30, guidance_scale=3.5, scheduler="Euler a")
    [request] = generate.requests(chosen, seed=1, workspace_id=1)
    assert (request.num_inference_steps, request.guidance_scale, request.scheduler) == (30, 3.5, "Euler a")


def test_a_styles_words_are_in_the_request_and_not_in_the_settings():
    settings = replace(MUG, style="watercolor")
    [request] = generate.requests(settings, seed=1, workspace_id=1)
    assert request.prompt.startswith("a mug on a table, watercolor painting")
    assert settings.prompt == "a mug on a table"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (replace(MUG, prompt=" "), "The prompt is empty"),
        (replace(MUG, count=5), "Choose 1 to 4"),
        (replace(MUG, aspect="2:1"), "16:9"),
        (replace(MUG, num_inference_steps=999), "number of steps is 999"),
        (replace(MUG, style="comic", prompt="x" * 1990), "Shorten it by 36 characters"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_words(asked, sentence):
    with pytest.raises(RequestError, match=sentence):
        generate.check(asked, workspace_id=1, now=NOW)


# --- a click --------------------------------------------------------------------------------------------------------


def test_a_click_holds_its_estimate_and_queues_each_image_with_the_form_beside_it(click, workspace, user):
    settings = replace(MUG, count=3, style="comic", seed=40)
    generation = click(settings)
    rows = renders(generation)
    assert [row.seed for row in rows] == [40, 41, 42]
    assert {row.priority for row in rows} == {generate.PRIORITY}
    assert generation.created_by_id == user.pk
    assert Settings.from_json(generation.settings) == settings
    assert ledger.balance(workspace_id=workspace.pk).held == generate.estimate(settings).maximum == 3000


def test_the_same_click_sent_twice_is_one_also_where_the_seed_is_left_to_chance(click):
    first, again = click(), click()
    assert first == again
    assert Generation.objects.count() == 1
    other = click(key="two")
    assert renders(other)[0].seed != renders(first)[0].seed


def test_a_form_that_was_changed_after_the_back_button_is_another_click(click):
    first = click()
    changed = click(replace(MUG, prompt="two mugs"))
    assert first != changed
    assert Generation.objects.count() == 2


def test_a_click_that_credits_do_not_cover_leaves_nothing_behind(click, workspace):
    ledger.hold(workspace_id=workspace.pk, key="rest", amounts=[20_199_000], tier="standard", budget_id=None, now=NOW)
    with pytest.raises(InsufficientCreditsError):
        click(replace(MUG, count=2))
    assert not Generation.objects.exists()


def test_a_model_that_is_not_installed_is_refused_with_what_to_do(click):
    with pytest.raises(NotOfferedError, match="hf download"):
        click(replace(MUG, checkpoint="sdxl-base"))
    assert not Generation.objects.exists()


# --- again ----------------------------------------------------------------------------------------------------------


def test_using_an_image_again_asks_for_that_very_image(click):
    rows = renders(click(replace(MUG, count=3, style="comic", seed=40)))
    again = generate.settings_of(rows[2])
    [request] = generate.requests(again, seed=again.seed or 0, workspace_id=1)
    assert request.to_json() == rows[2].request
    assert again.prompt == "a mug on a table"


def test_varying_takes_another_seed_and_a_failed_try_keeps_its_own(click):
    rows = renders(click(replace(MUG, count=3, seed=40)))
    batch = claim(worker(), now=NOW)
    assert batch is not None
    complete(batch.renders[0], seed=40)
    queue.fail(render=batch.renders[1], code="unexpected", reason="It broke.", may_retry=False, now=NOW)
    queue.fail(render=batch.renders[2], code=FLAWED, reason="Blank.", may_retry=False, now=NOW)
    done, failed, flawed = (Render.objects.select_related("generation").get(pk=row.pk) for row in rows)
    assert generate.another(done).seed is None
    assert generate.another(failed).seed == 41
    assert generate.another(flawed).seed is None
    assert {generate.another(each).count for each in (done, failed, flawed)} == {1}


def test_a_campaigns_image_has_no_studio_settings(click):
    [row] = renders(click())
    row.generation.settings = None
    with pytest.raises(ValueError, match="campaign"):
        generate.settings_of(row)


def test_the_form_is_remembered_for_each_person_and_workspace(workspace, user, make_workspace):
    other = make_workspace("other")
    assert generate.remembered(workspace_id=workspace.pk, created_by_id=user.pk) is None
    for settings in (MUG, replace(MUG, count=2)):
        generate.remember(workspace_id=workspace.pk, created_by_id=user.pk, settings=settings)
    assert generate.remembered(workspace_id=workspace.pk, created_by_id=user.pk) == replace(MUG, count=2)
    assert generate.remembered(workspace_id=other.pk, created_by_id=user.pk) is None
    StudioDraft.objects.update(settings={"checkpoint": "gone"})
    assert generate.remembered(workspace_id=workspace.pk, created_by_id=user.pk) is None


# --- what is offered ------------------------------------------------------------------------------------------------

TODAY = NOW.date()


def offer(entry: CatalogEntry, **changes: Any) -> offers.Offer:
    return offers.of(replace(entry, **changes), today=TODAY)


def test_the_starter_is_always_ready_and_what_is_missing_says_how_to_get_it():
    ready, *rest = offers.all_offers(today=TODAY)
    assert (ready.entry.slug, ready.is_ready) == ("starter", True)
    assert {each.state for each in rest} == {"missing"}
    assert all("hf download" in each.sentence for each in rest)
    assert offers.default((ready, *rest)).slug == "starter"


def test_a_retired_model_leads_to_its_successor():
    retired = offer(catalog.entry("sd-1-5"), retired_on=date(2026, 5, 12), replaced_by="starter")
    assert retired.state == "retired"
    assert retired.successor == catalog.entry("starter")
    assert retired.sentence.endswith("on May 12, 2026. Use Starter instead.")
    assert offer(catalog.entry("starter"), retired_on=date(2027, 1, 1)).is_ready


def test_a_model_of_the_future_says_when():
    coming = offer(catalog.entry("starter"), available_from=date(2027, 1, 3))
    assert (coming.state, coming.sentence) == ("coming", "Starter is offered from January 3, 2027.")


def test_a_folder_that_is_no_checkpoint_is_said_so(settings, tmp_path):
    settings.STUDIO_CHECKPOINTS = {"sdxl-base": tmp_path}
    broken = offer(catalog.entry("sdxl-base"))
    assert (broken.state, broken.is_ready) == ("broken", False)
    assert "model_index.json" in broken.sentence
