"""The LoRAs' pages, and LoRAs in the Studio's form and in a brief's."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape

from campaigns.models import Draft
from inference import catalog, lora_intake, loras
from inference.loras import Words
from inference.models import Lora, LoraStatus, Render
from studio.models import Workspace
from tests.conftest import NOW
from tests.inference import lora_samples
from tests.inference.lora_samples import kohya, safetensors
from tests.studio.samples import Samples

FILE = safetensors(kohya())


@pytest.fixture(autouse=True)
def installed(settings, tmp_path):
    settings.STUDIO_CHECKPOINTS = {"starter": lora_samples.checkpoint(tmp_path / "starter")}


@pytest.fixture
def soft(workspace) -> Lora:
    return Samples(workspace)["lora"]


def url(name: str, *arguments: object) -> str:
    return reverse(name, args=["acme", *arguments])


def upload(client, data: bytes = FILE, **values: str):
    file = SimpleUploadedFile("soft_light-v2.safetensors", data)
    return client.post(url("loras_add"), {"file": file, **values}, follow=True)


def body(response) -> str:
    return response.content.decode()


# --- the list ---------------------------------------------------------------------------------------------------------


def test_an_empty_list_says_what_a_lora_is_and_who_may_upload(people, browser):
    assert "A look of your own" in body(browser("producer").get(url("loras")))
    seen = body(browser("viewer").get(url("loras")))
    assert "Producers upload looks" in seen
    assert 'type="file"' not in seen


def test_an_upload_is_being_checked_then_ready_and_the_list_moves_by_itself(people, browser):
    client = browser("producer")
    seen = body(upload(client, trigger_words="glow"))
    lora = Lora.objects.get()
    assert (lora.name, lora.trigger_words, lora.created_by) == ("soft light v2", "glow", people["producer"])
    assert "Being checked" in seen
    poll = seen.split('hx-get="')[-1].split('"')[0].replace("&amp;", "&")
    assert client.get(poll).status_code == 204
    lora_intake.admit(lora_id=lora.pk, now=NOW)
    moved = client.get(poll)
    assert moved.status_code == 286
    assert "Fits Starter" in body(moved)
    assert f'id="lora-{lora.pk}" hx-swap-oob="true"' in body(moved)


def test_what_is_no_lora_is_refused_at_the_form(people, browser):
    seen = upload(browser("producer"), b"PK\x03\x04" + b"0" * 50)
    assert "could run a program" in body(seen)
    assert not Lora.objects.exists()


def test_a_refusal_stands_in_the_list_with_its_tensor_until_it_is_dismissed(people, browser):
    arrays = kohya()
    key = next(key for key in arrays if key.endswith("lora_up.weight"))
    arrays[key][0, 0] = float("inf")
    client = browser("producer")
    upload(client, safetensors(arrays))
    lora = Lora.objects.get()
    lora_intake.admit(lora_id=lora.pk, now=NOW)
    seen = body(client.get(url("loras")))
    assert f"has values at {key} that are no numbers" in seen
    assert "Refused" in seen
    client.post(url("lora_dismiss", lora.pk))
    assert not Lora.objects.exists()


def test_a_name_that_is_taken_is_told_at_the_form(people, browser, soft):
    seen = body(upload(browser("producer"), name="soft LIGHT"))
    assert escape("There is a LoRA called “soft LIGHT” already") in seen
    assert 'value="soft LIGHT"' in seen


def test_names_are_shown_as_text(people, browser, soft):
    Lora.objects.update(name="<b>x</b>", trigger_words="<script>", file_name="<i>")
    for address in (url("loras"), url("lora", soft.pk), url("studio")):
        seen = body(browser("producer").get(address))
        assert "<b>x</b>" not in seen
        assert "<script>,"[:-1] + "”" not in seen


def test_more_loras_take_no_more_queries(people, browser, workspace, soft):
    def add(numbers: range) -> None:
        for number in numbers:
            soft.pk, soft.name, soft.sha256 = None, f"Look {number}", f"{number:064}"
            soft.created_by = people["producer"]
            soft.save(force_insert=True)

    client = browser("producer")
    pages = (url("loras"), url("studio"), url("campaign_new"))
    add(range(1, 3))
    for address in pages:
        client.get(address)
    few = [queries(client, address) for address in pages]
    add(range(3, 30))
    assert [queries(client, address) for address in pages] == few
    assert few[0] <= 9


def queries(client, address: str) -> int:
    with CaptureQueriesContext(connection) as counted:
        assert client.get(address).status_code == 200
    return len(counted)


def test_a_long_list_is_shown_page_by_page(people, browser, workspace, soft):
    for number in range(45):
        Lora.objects.create(
            workspace=workspace,
            status=LoraStatus.CLEAN,
            name=f"Look {number}",
            file_name="x",
            size_bytes=1,
            sha256=f"{number + 1:064}",
            storage_key=f"1/{number}",
            rank=1,
            created_at=NOW,
        )
    client = browser("viewer")
    seen = body(client.get(url("loras")))
    assert seen.count('class="lora"') == 40
    more = seen.split('class="more"><a class="button" href="')[1].split('"')[0]
    assert body(client.get(url("loras") + more)).count('class="lora"') == 6


# --- one LoRA ---------------------------------------------------------------------------------------------------------


def test_a_producer_changes_the_words_and_a_viewer_reads_them(people, browser, soft):
    client = browser("producer")
    said = {"name": "Softer", "trigger_words": "soft, glow", "note": "Ours, CC0"}
    assert client.post(url("lora", soft.pk), said).status_code == 302
    seen = body(browser("viewer").get(url("lora", soft.pk)))
    for words in ("Softer", "soft, glow", "Ours, CC0", "Fits Starter", "soft.safetensors"):
        assert words in seen
    assert '<form method="post" class="form card"' not in seen


def test_an_archived_one_is_offered_nowhere_until_it_is_restored(people, browser, soft):
    client = browser("producer")
    client.post(url("lora_archive", soft.pk))
    assert f'id="lora-{soft.pk}"' not in body(client.get(url("loras")))
    assert f'name="lora" value="{soft.pk}"' not in body(client.get(url("studio")))
    assert f'id="lora-{soft.pk}"' in body(client.get(url("loras") + "?archived"))
    client.post(url("lora_restore", soft.pk))
    assert f'name="lora" value="{soft.pk}"' in body(client.get(url("studio")))


def test_what_is_not_decided_has_no_page(people, browser, soft):
    Lora.objects.update(status=LoraStatus.QUARANTINED)
    assert browser("owner").get(url("lora", soft.pk)).status_code == 404


# --- the Studio's form ------------------------------------------------------------------------------------------------

CLICK = {
    "checkpoint": "starter",
    "style": "auto",
    "aspect": "1:1",
    "count": "1",
    "prompt": "a mug",
    "key": "one",
    "num_inference_steps": "",
}


def test_a_click_with_a_lora_asks_for_it_with_its_words(people, browser, soft):
    browser("producer").post(url("studio"), {**CLICK, "lora": soft.pk, f"lora-weight-{soft.pk}": "0.75"})
    request = Render.objects.get().request
    assert request["loras"] == [{"file": soft.storage_key, "weight": 0.75}]
    assert request["prompt"] == "soft light, a mug"


def test_the_form_is_remembered_with_its_loras(people, browser, soft):
    client = browser("producer")
    client.post(url("studio_estimate"), {**CLICK, "shown": "starter", "lora": soft.pk, f"lora-weight-{soft.pk}": "0.4"})
    seen = body(client.get(url("studio")))
    assert f'name="lora" value="{soft.pk}" checked' in seen
    assert f'name="lora-weight-{soft.pk}" min="0" max="2" step="0.05" value="0.4"' in seen


def test_the_loras_page_leads_to_the_form_with_it_chosen(people, browser, soft):
    seen = body(browser("producer").get(url("studio") + f"?checkpoint=starter&lora={soft.pk}"))
    assert f'name="lora" value="{soft.pk}" checked' in seen


@pytest.mark.parametrize("weight", ["3", "-1", "nan", "x"])
def test_a_weight_out_of_range_is_told(people, browser, soft, weight):
    response = browser("producer").post(url("studio"), {**CLICK, "lora": soft.pk, f"lora-weight-{soft.pk}": weight})
    assert response.status_code == 422
    assert "LoRAs: Give the weight as a number from 0 to 2." in body(response)
    assert not Render.objects.exists()


def test_another_workspaces_lora_is_not_there(people, browser, soft):
    foreign = Samples(Workspace.objects.get(slug="elsewhere"))["lora"]
    client = browser("producer")
    assert client.post(url("studio"), {**CLICK, "lora": foreign.pk}).status_code == 404
    assert client.get(url("studio") + f"?lora={foreign.pk}").status_code == 404
    assert client.post(url("studio"), {**CLICK, "lora": "x"}).status_code == 404


def test_a_chosen_one_that_does_not_fit_the_model_stays_with_the_reason(people, browser, soft, settings, tmp_path):
    settings.STUDIO_CHECKPOINTS |= {"sd-1-5": lora_samples.checkpoint(tmp_path / "sd15")}
    form = {**CLICK, "checkpoint": "sd-1-5", "shown": "starter", "lora": soft.pk}
    seen = body(browser("producer").post(url("studio_estimate"), form))
    assert "It does not fit Stable Diffusion 1.5." in seen
    assert "Take it out, or choose Starter." in seen


def test_every_model_that_the_engine_runs_takes_loras():
    assert {slug for slug, entry in catalog.load().items() if "lora" not in entry.capabilities} == set()


# --- a brief's form ---------------------------------------------------------------------------------------------------


def test_a_draft_keeps_its_loras_and_exports_them(people, browser, soft):
    client = browser("producer")
    form = {
        "act": "save",
        "name": "Spring",
        "checkpoint": "starter",
        "template": "a mug",
        "channel_name": ["square"],
        "channel_way": ["text"],
        "channel_width": ["256"],
        "channel_height": ["256"],
        "lora_name": ["Soft light"],
        "lora_weight": ["0.5"],
    }
    client.post(url("campaign_new"), form)
    draft = Draft.objects.get()
    seen = body(client.get(url("draft", draft.pk)))
    assert "<option selected>Soft light</option>" in seen
    brief = body(client.get(url("draft_brief", draft.pk)))
    assert '[[loras]]\nname = "Soft light"\nweight = 0.5' in brief
    again = SimpleUploadedFile("brief.toml", brief.encode())
    client.post(url("campaign_import"), {"file": again})
    assert Draft.objects.latest("pk").entered["loras"] == [{"name": "Soft light", "weight": "0.5"}]


def test_rows_of_loras_are_added_and_removed(people, browser, soft):
    client = browser("producer")
    client.post(url("campaign_new"), {"act": "lora:add", "lora_name": ["Soft light"], "lora_weight": ["1"]})
    draft = Draft.objects.get()
    assert draft.entered["loras"] == [{"name": "Soft light", "weight": "1"}, {"name": "", "weight": "1"}]
    form = {"act": "lora:remove:0", "revision": "1", "lora_name": ["Soft light", ""], "lora_weight": ["1", "1"]}
    client.post(url("draft", draft.pk), form)
    draft.refresh_from_db()
    assert draft.entered["loras"] == [{"name": "", "weight": "1"}]


def test_what_is_wrong_with_a_lora_stands_at_its_row(people, browser, soft):
    form = {"lora_name": ["Soft lite", "Soft light"], "lora_weight": ["1", "2.5"], "checkpoint": "starter"}
    seen = body(browser("producer").post(url("campaign_check"), form))
    first = seen.split('id="error-lora-0-name"')[1].split("</ul>")[0]
    assert escape('There is no LoRA "Soft lite" in this workspace. Did you mean "Soft light"?') in first
    second = seen.split('id="error-lora-1-weight"')[1].split("</ul>")[0]
    assert "The weight is 2.5. Write a number from 0 to 2." in second


def test_a_stream_is_read_by_pieces(people, browser, monkeypatch):
    """A file of hundreds of megabytes must never be in memory as a whole."""
    largest = []
    read = io.BytesIO.read

    class Counting(SimpleUploadedFile):
        def read(self, size: int = -1) -> bytes:
            largest.append(size)
            return read(self.file, size)  # type: ignore[arg-type]

    loras.receive(
        workspace_id=Workspace.objects.get(slug="acme").pk,
        source=Counting("a.safetensors", FILE),  # type: ignore[arg-type]
        file_name="a.safetensors",
        words=Words(name="a"),
        created_by_id=None,
        now=NOW,
    )
    assert largest
    assert all(0 < size <= loras.CHUNK_BYTES for size in largest)
