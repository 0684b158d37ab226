"""A workspace's LoRAs: taken in through quarantine, named, put away, chosen; and what a worker decides about a file."""

import hashlib
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import celery
import pytest
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction

from gallery import storage
from inference import catalog, generate, lora_intake, loras
from inference.generate import Settings
from inference.loras import ChosenLora, LoraError, Words
from inference.models import Lora, LoraStatus
from inference.references import LoraReference
from studio.models import Workspace
from tests.conftest import NOW
from tests.inference import lora_samples
from tests.inference.lora_samples import kohya, safetensors

STARTER = catalog.entry("starter")
FILE = safetensors(kohya())


@pytest.fixture(autouse=True)
def installed(settings, tmp_path: Path) -> None:
    """A starter whose layers are known without torch; nothing else is installed."""
    settings.STUDIO_CHECKPOINTS = {"starter": lora_samples.checkpoint(tmp_path / "starter")}
    settings.STUDIO_DATA = tmp_path / "data"


def receive(workspace: Workspace, data: bytes = FILE, *, name: str = "Soft light", words: str = "") -> Lora:
    return loras.receive(
        workspace_id=workspace.pk,
        source=io.BytesIO(data),
        file_name="soft_light.safetensors",
        words=Words(name=name, trigger_words=words),
        created_by_id=None,
        now=NOW,
    )


def take_in(workspace: Workspace, data: bytes = FILE, *, name: str = "Soft light", words: str = "") -> Lora:
    lora = receive(workspace, data, name=name, words=words)
    lora_intake.admit(lora_id=lora.pk, now=NOW)
    lora.refresh_from_db()
    return lora


def other(seed: int) -> bytes:
    return safetensors(kohya(seed=seed))


# --- taken in ---------------------------------------------------------------------------------------------------------


def test_a_sound_file_waits_in_quarantine_and_then_lies_under_its_hash(workspace):
    lora = receive(workspace)
    assert lora.status == LoraStatus.QUARANTINED
    assert not loras.usable(workspace_id=workspace.pk)
    lora_intake.admit(lora_id=lora.pk, now=NOW)
    lora.refresh_from_db()
    assert lora.status == LoraStatus.CLEAN
    sha256 = hashlib.sha256(FILE).hexdigest()
    assert lora.storage_key == f"{workspace.pk}/{sha256}.safetensors"
    assert storage.read(lora.storage_key) == FILE
    assert not default_storage.exists(loras.quarantine_key(lora))
    assert (lora.family, lora.style, lora.rank, lora.fits, lora.parts) == (
        "sd",
        "kohya",
        2,
        ["starter"],
        ["text_encoder", "unet"],
    )
    assert [each.name for each in loras.usable(workspace_id=workspace.pk)] == ["Soft light"]


def test_deciding_twice_changes_nothing(workspace):
    lora = take_in(workspace)
    lora_intake.admit(lora_id=lora.pk, now=NOW + timedelta(hours=1))
    assert Lora.objects.get().decided_at == NOW


def test_a_worker_is_told_once_the_row_is_there(workspace, django_capture_on_commit_callbacks, monkeypatch):
    sent = []
    monkeypatch.setattr(
        celery.current_app, "send_task", lambda name, args: sent.append((name, args, Lora.objects.count()))
    )
    with django_capture_on_commit_callbacks(execute=True):
        lora = receive(workspace)
        assert not sent
    assert sent == [("inference.check_lora", [lora.pk], 1)]


def test_the_words_of_its_trainer_stand_in_where_nobody_gave_any(workspace):
    noted = safetensors(kohya(), {"modelspec.trigger_phrase": "glow"})
    assert take_in(workspace, noted).trigger_words == "glow"
    told = safetensors(kohya(seed=1), {"modelspec.trigger_phrase": "glow"})
    assert take_in(workspace, told, name="Another", words="shine,  shine ,light").trigger_words == "shine, light"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "soft_light.safetensors is empty"),
        (b"PK\x03\x04" + b"0" * 50, "could run a program"),
        (FILE[:-1], "ends before its last tensor"),
    ],
)
def test_what_is_no_safetensors_file_is_refused_before_anything_is_kept(workspace, data, words):
    with pytest.raises(LoraError, match=words):
        receive(workspace, data)
    assert not Lora.objects.exists()
    assert not default_storage.exists("quarantine")


def test_a_file_over_the_limit_is_refused(workspace, settings):
    settings.STUDIO_LORA_MAX_BYTES = len(FILE) - 1
    with pytest.raises(LoraError, match="larger than"):
        receive(workspace)
    settings.STUDIO_LORA_MAX_BYTES = len(FILE)
    assert receive(workspace).size_bytes == len(FILE)


def test_a_file_that_a_worker_refuses_is_kept_nowhere_and_says_why(workspace):
    arrays = kohya()
    key = next(key for key in arrays if key.endswith("lora_up.weight"))
    arrays[key][0, 0] = float("nan")
    lora = take_in(workspace, safetensors(arrays))
    assert lora.status == LoraStatus.REFUSED
    assert lora.refusal.startswith(f"soft_light.safetensors has values at {key} that are no numbers")
    assert not default_storage.exists(loras.quarantine_key(lora))
    # Its name is free again, and it can be taken off the list.
    assert take_in(workspace).status == LoraStatus.CLEAN
    assert loras.dismiss(lora_id=lora.pk)
    assert Lora.objects.count() == 1


def test_only_a_refused_one_can_be_dismissed(workspace):
    lora = take_in(workspace)
    assert not loras.dismiss(lora_id=lora.pk)
    assert Lora.objects.filter(pk=lora.pk).exists()


def test_the_same_file_is_here_once(workspace, make_workspace):
    take_in(workspace)
    with pytest.raises(LoraError, match="is here already, as “Soft light”, use that one"):
        receive(workspace, name="Another")
    loras.archive(lora_id=Lora.objects.get().pk, now=NOW)
    with pytest.raises(LoraError, match="archived: restore it"):
        receive(workspace, name="Another")
    assert take_in(make_workspace("elsewhere")).status == LoraStatus.CLEAN


def test_of_two_uploads_of_a_file_at_once_the_later_one_is_refused(workspace):
    first, second = receive(workspace), receive(workspace, name="Another")
    for lora in (first, second):
        lora_intake.admit(lora_id=lora.pk, now=NOW)
    second.refresh_from_db()
    assert second.status == LoraStatus.REFUSED
    assert "is here already" in second.refusal
    assert storage.read(Lora.objects.get(pk=first.pk).storage_key) == FILE


def test_a_lost_file_comes_back_by_uploading_it_again(workspace):
    lora = take_in(workspace)
    default_storage.delete(lora.storage_key)
    assert receive(workspace, name="Whatever").pk == lora.pk
    assert storage.read(lora.storage_key) == FILE


def test_a_storage_that_is_full_refuses_in_words(workspace, monkeypatch):
    def full(name: str, content: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(default_storage, "save", full)
    lora = receive(workspace)
    assert lora.status == LoraStatus.REFUSED
    assert "No space left on device" in lora.refusal


def test_what_was_changed_in_quarantine_is_refused(workspace):
    lora = receive(workspace)
    default_storage.save(loras.quarantine_key(lora), io.BytesIO(other(9)))
    lora_intake.admit(lora_id=lora.pk, now=NOW)
    lora.refresh_from_db()
    assert (lora.status, lora.storage_key) == (LoraStatus.REFUSED, "")
    assert "did not arrive whole" in lora.refusal


def test_the_sweep_decides_about_what_was_forgotten(workspace):
    lora = receive(workspace)
    lora_intake.sweep(now=NOW + timedelta(minutes=1))
    assert Lora.objects.get(pk=lora.pk).status == LoraStatus.QUARANTINED
    lora_intake.sweep(now=NOW + timedelta(minutes=3))
    assert Lora.objects.get(pk=lora.pk).status == LoraStatus.CLEAN


def test_a_worker_that_was_killed_right_after_its_decision_leaves_no_file_behind(workspace, monkeypatch):
    lora = receive(workspace)

    def die(key: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(lora_intake, "_clear", die)
        with pytest.raises(KeyboardInterrupt):
            lora_intake.admit(lora_id=lora.pk, now=NOW)
    assert default_storage.exists(loras.quarantine_key(lora))
    lora_intake.sweep(now=NOW + timedelta(minutes=1))
    assert not default_storage.exists(loras.quarantine_key(lora))
    assert Lora.objects.get(pk=lora.pk).status == LoraStatus.CLEAN


def test_one_that_cannot_be_decided_about_does_not_stop_the_others(workspace, monkeypatch):
    bad, good = receive(workspace, name="Bad"), receive(workspace, other(2), name="Good")
    decide = lora_intake._decide

    def stumble(lora: Lora, path: Path, now: datetime) -> None:
        if lora.pk == bad.pk:
            raise PermissionError("the file belongs to somebody else")
        decide(lora, path, now)

    monkeypatch.setattr(lora_intake, "_decide", stumble)
    lora_intake.sweep(now=NOW + timedelta(minutes=3))
    assert Lora.objects.get(pk=bad.pk).status == LoraStatus.QUARANTINED
    assert Lora.objects.get(pk=good.pk).status == LoraStatus.CLEAN


def test_the_sweep_refuses_what_broke_off_on_its_way_in(workspace):
    lora = receive(workspace)
    Lora.objects.filter(pk=lora.pk).update(status=LoraStatus.RECEIVED)
    lora_intake.sweep(now=NOW + timedelta(minutes=30))
    assert Lora.objects.get(pk=lora.pk).status == LoraStatus.RECEIVED
    lora_intake.sweep(now=NOW + timedelta(hours=3))
    assert "did not arrive whole. Upload it again." in Lora.objects.get(pk=lora.pk).refusal


def test_what_it_fits_is_found_anew_when_a_model_is_installed(workspace, settings, tmp_path):
    lora = take_in(workspace)
    settings.STUDIO_CHECKPOINTS = {
        "starter": lora_samples.checkpoint(tmp_path / "wide", width=16),
        "sd-1-5": lora_samples.checkpoint(tmp_path / "sd15"),
    }
    lora_intake.check_again(lora_id=lora.pk, now=NOW + timedelta(days=1))
    lora.refresh_from_db()
    assert lora.fits == ["sd-1-5"]
    assert lora.status == LoraStatus.CLEAN


# --- named and put away -----------------------------------------------------------------------------------------------


def test_a_name_is_one_loras_alone_whatever_its_capitals(workspace):
    take_in(workspace)
    with pytest.raises(LoraError, match="There is a LoRA called “SOFT LIGHT” already"):
        receive(workspace, other(1), name=" SOFT  LIGHT ")
    second = take_in(workspace, other(1), name="Grain")
    with pytest.raises(LoraError, match="already"):
        loras.rename(lora_id=second.pk, words=Words(name="soft light"))
    loras.rename(lora_id=second.pk, words=Words(name="Film grain", trigger_words="a, b", note="ours"))
    second.refresh_from_db()
    assert (second.name, second.trigger_words, second.note) == ("Film grain", "a, b", "ours")
    with pytest.raises(IntegrityError), transaction.atomic():
        Lora.objects.filter(pk=second.pk).update(name="sOFT light")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (Words(name="  "), "Give the LoRA a name"),
        (Words(name="x" * 61), "The name has 61 characters. Shorten it to 60"),
        (Words(name="x", trigger_words="y" * 201), "list of trigger words has 201"),
        (Words(name="x\0"), "control character"),
    ],
)
def test_words_that_cannot_be_used_are_told(words, sentence):
    with pytest.raises(LoraError, match=sentence):
        loras.checked(words)


# --- chosen -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def soft(workspace) -> Lora:
    return take_in(workspace, words="soft light, glow")


def requested(workspace: Workspace, *chosen: ChosenLora, prompt: str = "a mug on a table"):
    settings = Settings(checkpoint="starter", prompt=prompt, loras=chosen)
    [request] = generate.requests(Settings.from_json(settings.to_json()), seed=1, workspace_id=workspace.pk)
    return request


def test_a_chosen_lora_is_in_the_request_with_its_words_in_front(workspace, soft):
    request = requested(workspace, ChosenLora(lora_id=soft.pk, weight=0.8))
    assert request.loras == (LoraReference(file=soft.storage_key, weight=0.8),)
    assert request.prompt == "soft light, glow, a mug on a table"


def test_words_that_the_description_has_are_not_said_again(workspace, soft):
    request = requested(workspace, ChosenLora(lora_id=soft.pk), prompt="a mug in Soft Light")
    assert request.prompt == "glow, a mug in Soft Light"


def test_at_weight_0_it_is_the_request_without(workspace, soft):
    without = requested(workspace)
    assert requested(workspace, ChosenLora(lora_id=soft.pk, weight=0)) == without
    assert requested(workspace, ChosenLora(lora_id=soft.pk, weight=0.1)).digest() != without.digest()


def _archived(lora: Lora, make_workspace: Callable[..., Workspace]) -> None:
    loras.archive(lora_id=lora.pk, now=NOW)


def _elsewhere(lora: Lora, make_workspace: Callable[..., Workspace]) -> None:
    Lora.objects.filter(pk=lora.pk).update(workspace=make_workspace("elsewhere"))


def _misfitting(lora: Lora, make_workspace: Callable[..., Workspace]) -> None:
    Lora.objects.filter(pk=lora.pk).update(fits=["sdxl-base"])


def _refused(lora: Lora, make_workspace: Callable[..., Workspace]) -> None:
    Lora.objects.filter(pk=lora.pk).update(status=LoraStatus.REFUSED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_archived, "“Soft light” is archived. Take it out, or restore it"),
        (_elsewhere, "is not here any more"),
        (_refused, "is not here any more"),
        (_misfitting, "“Soft light” does not fit Starter. Take it out, or choose Stable Diffusion XL 1.0"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(workspace, soft, make_workspace, change, words):
    change(soft, make_workspace)
    with pytest.raises(LoraError, match=words):
        requested(workspace, ChosenLora(lora_id=soft.pk))


def test_more_than_five_are_refused(workspace, soft):
    with pytest.raises(LoraError, match="Take at most 5"):
        requested(workspace, *[ChosenLora(lora_id=soft.pk)] * 6)


def test_an_archived_one_can_be_chosen_once_it_is_restored(workspace, soft):
    loras.archive(lora_id=soft.pk, now=NOW)
    assert not loras.usable(workspace_id=workspace.pk)
    loras.restore(lora_id=soft.pk)
    assert requested(workspace, ChosenLora(lora_id=soft.pk)).loras
