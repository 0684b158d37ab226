"""What a LoRA's file may hold: files made to hurt are refused before anything reads them, and what fits is known."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from inference.catalog.sources import CheckpointSource, read_source
from inference.lora_files import header, metadata
from inference.lora_files.check import LoraFacts, check
from inference.lora_files.header import LoraFileError
from inference.lora_files.layers import CheckpointLayers
from tests.inference import lora_samples
from tests.inference.lora_samples import Arrays, kohya, safetensors, with_header

Q = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
ONE = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


@pytest.fixture
def starter(tmp_path: Path) -> CheckpointSource:
    return read_source(lora_samples.checkpoint(tmp_path / "starter"), slug="starter")


def checked(folder: Path, data: bytes, **installed: CheckpointSource) -> LoraFacts:
    path = folder / "look.safetensors"
    path.write_bytes(data)
    return check(path, installed)


# --- the header -------------------------------------------------------------------------------------------------------


def headed(table: object, data: bytes = b"\0" * 16) -> bytes:
    return with_header(json.dumps(table).encode(), data)


ATTACKS = {
    "nothing": (b"abc", "too short"),
    "a pickle": (b"\x80\x02" + b"0" * 60, "could run a program"),
    "a ZIP": (b"PK\x03\x04" + b"0" * 60, "could run a program"),
    "a huge header": (struct.pack("<Q", 2**63) + b"{}", "longer than can be"),
    "a header beyond the file": (struct.pack("<Q", 500) + b"{}", "longer than can be"),
    "a header over the limit": (
        struct.pack("<Q", header.MAX_HEADER_BYTES + 1) + b"{" + b" " * (header.MAX_HEADER_BYTES + 64),
        "longer than can be",
    ),
    "no JSON": (with_header(b"{nothing"), "cannot be read"),
    "no UTF-8": (with_header(b'{"\xff": 1}'), "cannot be read"),
    "no object": (with_header(b"[1, 2]"), "cannot be read"),
    "blanks in front": (with_header(b'  {"a": 1}'), "cannot be read"),
    "brackets without end": (with_header(b"[" * 100_000), "cannot be read"),
    "braces without end": (with_header(b'{"a":' * 100_000), "cannot be read"),
    "NaN for a number": (with_header(b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}'), "cannot be"),
    "a key twice": (
        with_header(b'{"a": ' + json.dumps(ONE).encode() + b', "a": ' + json.dumps(ONE).encode() + b"}", b"\0" * 16),
        '"a" twice',
    ),
    "a field twice": (
        with_header(b'{"a": {"dtype": "F32", "dtype": "F16", "shape": [2, 2], "data_offsets": [0, 16]}}', b"\0" * 16),
        '"dtype" twice',
    ),
    "no tensors": (headed({}, b""), "holds 0 tensors"),
    "too many tensors": (headed({str(each): ONE for each in range(header.MAX_TENSORS + 1)}), "20,001 tensors"),
    "notes that are no texts": (headed({"__metadata__": {"a": 1}, "a": ONE}), "no texts"),
    "a name of control characters": (headed({"a\nb": ONE}), "no name of a layer"),
    "another field": (headed({"a": {**ONE, "more": 1}}), "does not say dtype, shape and data_offsets of a"),
    "an unknown dtype": (headed({"a": {**ONE, "dtype": "F8_E4M3"}}), "only F64, F32"),
    "a side of nothing": (headed({"a": {**ONE, "shape": [0, 4], "data_offsets": [0, 0]}}, b""), "which no layer has"),
    "a side below nothing": (headed({"a": {**ONE, "shape": [-2, -2]}}), "which no layer has"),
    "a huge side": (headed({"a": {**ONE, "shape": [2**40, 2**40]}}), "which no layer has"),
    "five sides": (headed({"a": {**ONE, "shape": [1, 1, 1, 2, 2]}}), "which no layer has"),
    "a truth for a side": (headed({"a": {**ONE, "shape": [True, 4]}}), "which no layer has"),
    "offsets that are not enough": (headed({"a": {**ONE, "data_offsets": [0, 8]}}), "more or fewer bytes for a"),
    "offsets turned round": (headed({"a": {**ONE, "data_offsets": [16, 0]}}), "more or fewer bytes for a"),
    "offsets before the data": (headed({"a": {**ONE, "data_offsets": [-16, 0]}}), "belong to nothing"),
    "a gap": (headed({"a": {**ONE, "data_offsets": [4, 20]}}, b"\0" * 20), "belong to nothing"),
    "an overlap": (headed({"a": ONE, "b": {**ONE, "data_offsets": [8, 24]}}, b"\0" * 24), "before b that belong"),
    "the same bytes twice": (headed({"a": ONE, "b": ONE}), "to two tensors"),
    "an end that is missing": (headed({"a": ONE}, b"\0" * 12), "ends before its last tensor"),
    "something behind": (headed({"a": ONE}, b"\0" * 17), "goes on after its last tensor"),
}


@pytest.mark.parametrize(("data", "words"), ATTACKS.values(), ids=ATTACKS)
def test_a_file_that_is_not_made_as_the_format_says_is_refused(tmp_path, starter, data, words):
    with pytest.raises(LoraFileError, match=words):
        checked(tmp_path, data, Starter=starter)


def test_every_file_that_is_cut_short_is_refused(tmp_path, starter):
    whole = safetensors(kohya())
    checked(tmp_path, whole, Starter=starter)
    for length in range(0, len(whole), 97):
        with pytest.raises(LoraFileError):
            checked(tmp_path, whole[:length], Starter=starter)


@pytest.mark.parametrize("length", [640, 896, 1152])
def test_a_header_whose_length_begins_as_a_pickle_does_is_a_header(tmp_path, starter, length):
    whole = safetensors(kohya(), {"note": ""})
    size = struct.unpack("<Q", whole[:8])[0]
    length += 65536 * (size >= length)
    longer = safetensors(kohya(), {"note": "x" * (length - size)})
    assert struct.unpack("<Q", longer[:8])[0] == length
    assert longer[0] == 0x80
    assert checked(tmp_path, longer, Starter=starter).fits == ("starter",)


def test_a_name_that_stands_twice_among_many_is_found_at_once(tmp_path, starter):
    names = [f'"{number}":{{}}' for number in range(200_000)]
    with pytest.raises(LoraFileError, match='"199999" twice'):
        checked(tmp_path, with_header(f"{{{','.join([*names, names[-1]])}}}".encode()), Starter=starter)


# --- keys, shapes, numbers --------------------------------------------------------------------------------------------


def test_a_loras_facts_are_told(tmp_path, starter):
    said = {"modelspec.trigger_phrase": "soft  light,glow"}
    facts = checked(tmp_path, safetensors(kohya(rank=2), said), Starter=starter)
    assert facts == LoraFacts(
        style="kohya",
        family="sd",
        parts=("text_encoder", "unet"),
        layers=5,
        ranks=(2, 2),
        fits=("starter",),
        trigger_words="soft light, glow",
    )


def test_it_fits_every_checkpoint_that_has_its_layers(tmp_path, starter):
    other = read_source(lora_samples.checkpoint(tmp_path / "wide", width=16), slug="wide")
    twin = read_source(lora_samples.checkpoint(tmp_path / "twin"), slug="twin")
    assert checked(tmp_path, safetensors(kohya()), A=other, B=starter, C=twin).fits == ("starter", "twin")


def spoiled(change: str) -> Arrays:
    arrays = kohya()
    match change:
        case "rank":
            arrays[f"{Q}.lora_up.weight"] = np.zeros((8, 3), np.float32)
        case "shape":
            arrays[f"{Q}.lora_down.weight"] = np.zeros((2, 9), np.float32)
        case "layer":
            for end in ("lora_down.weight", "lora_up.weight"):
                arrays[f"lora_unet_nowhere.{end}"] = np.zeros((2, 2), np.float32)
        case "no up":
            del arrays[f"{Q}.lora_up.weight"]
        case "alpha alone":
            arrays["lora_unet_conv_in.alpha"] = np.array(1, np.float32)
        case "long alpha":
            arrays[f"{Q}.alpha"] = np.zeros(3, np.float32)
        case "whole numbers":
            arrays[f"{Q}.lora_up.weight"] = np.zeros((8, 2), np.int64)
        case "LoHa":
            arrays[f"{Q}.hada_w1_a"] = np.zeros((2, 2), np.float32)
        case "DoRA":
            arrays[f"{Q}.dora_scale"] = np.zeros((2, 2), np.float32)
        case "foreign key":
            arrays["zzz.weight"] = np.zeros((2, 2), np.float32)
        case "NaN" | "infinite" | "huge":
            value = {"NaN": np.nan, "infinite": -np.inf, "huge": 1e30}[change]
            arrays[f"{Q}.lora_up.weight"][3, 1] = value
    return arrays


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rank", rf"{Q}\.lora_down\.weight of \[2, 8\] and .* no rank in common"),
        ("shape", rf"nearest is Starter, whose layer is \[8, 8\] where it needs \[8, 9\] \({Q}"),
        ("layer", r"nearest is Starter, which has no such layer \(lora_unet_nowhere"),
        ("no up", rf"{Q}\.lora_down\.weight, and no matrix “up”"),
        ("alpha alone", r"lora_unet_conv_in\.alpha, and neither “down” nor “up”"),
        ("long alpha", rf"more than one number at {Q}\.alpha"),
        ("whole numbers", rf"{Q}\.lora_up\.weight as I64"),
        ("LoHa", rf"is a LoHa \({Q}\.hada_w1_a\)"),
        ("DoRA", rf"is a DoRA \({Q}\.dora_scale\)"),
        ("foreign key", r"zzz\.weight, which is no part of a plain LoRA"),
        ("NaN", rf"values at {Q}\.lora_up\.weight that are no numbers"),
        ("infinite", rf"values at {Q}\.lora_up\.weight that are no numbers"),
        ("huge", rf"values at {Q}\.lora_up\.weight that are no numbers, or too large"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_tensor(tmp_path, starter, change, words):
    with pytest.raises(LoraFileError, match=words):
        checked(tmp_path, safetensors(spoiled(change)), Starter=starter)


def test_no_key_in_a_known_spelling_is_told(tmp_path, starter):
    with pytest.raises(LoraFileError, match=r"model\.layer\.weight, which is in no known spelling"):
        checked(tmp_path, safetensors({"model.layer.weight": np.zeros((2, 2), np.float32)}), Starter=starter)


def test_a_layer_named_twice_in_two_spellings_is_refused(tmp_path, starter):
    name = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    arrays = {
        f"{name}.to_q.lora_A.weight": np.zeros((2, 8), np.float32),
        f"{name}.to_q.lora.down.weight": np.zeros((2, 8), np.float32),
        f"{name}.to_q.lora_B.weight": np.zeros((8, 2), np.float32),
    }
    with pytest.raises(LoraFileError, match="for the same matrix"):
        checked(tmp_path, safetensors(arrays), Starter=starter)


def test_numbers_in_bfloat16_are_read(tmp_path, starter):
    name = f"unet.{lora_samples.ATTENTION}.attn1.to_q"

    def file(up: int) -> bytes:
        table = {
            f"{name}.lora_A.weight": {"dtype": "BF16", "shape": [2, 8], "data_offsets": [0, 32]},
            f"{name}.lora_B.weight": {"dtype": "BF16", "shape": [8, 2], "data_offsets": [32, 64]},
        }
        return headed(table, b"\x80\x3f" * 31 + struct.pack("<H", up))

    assert checked(tmp_path, file(0xBF80), Starter=starter).fits == ("starter",)  # -1
    for wrong in (0x7FC0, 0xFF80, 0x7F80, 0x4780):  # NaN, -inf, inf, 65536
        with pytest.raises(LoraFileError, match=r"lora_B\.weight that are no numbers"):
            checked(tmp_path, file(wrong), Starter=starter)


def test_peft_notes_that_cannot_be_read_are_refused(tmp_path, starter):
    for noted in ("{", "[]", '{"unet.lora_alpha": "8"}', '{"unet.alpha_pattern": [1]}', '{"unet.lora_alpha": 1e999}'):
        with pytest.raises(LoraFileError, match="notes about its alphas"):
            checked(tmp_path, safetensors(kohya(), {"lora_adapter_metadata": noted}), Starter=starter)
    fine = '{"unet.lora_alpha": 8, "unet.alpha_pattern": {"a": 2.5}, "unet.r": 8}'
    assert checked(tmp_path, safetensors(kohya(), {"lora_adapter_metadata": fine}), Starter=starter).fits


def test_without_the_model_that_it_is_for_one_hears_which(tmp_path, starter):
    arrays = {
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": np.ones(
            (2, 2048), np.float32
        ),
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": np.ones(
            (1280, 2), np.float32
        ),
    }
    with pytest.raises(LoraFileError, match=r"was made for Stable Diffusion XL, and fits none .* nearest is Starter"):
        checked(tmp_path, safetensors(arrays), Starter=starter)
    with pytest.raises(LoraFileError, match=r"was made for Stable Diffusion XL, and no model that takes LoRAs"):
        checked(tmp_path, safetensors(arrays))


# --- names of layers --------------------------------------------------------------------------------------------------


def test_the_original_programs_names_of_layers_are_known():
    """Stable Diffusion XL as its makers name it: its first attention is the second layer of the fourth block."""
    names = {
        "unet.down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q": (640, 640),
        "unet.mid_block_attentions_0_proj_in": (1280, 1280),
        "unet.mid_block_resnets_1_conv2": (1280, 1280, 3, 3),
        "unet.up_blocks_0_upsamplers_0_conv": (1280, 1280, 3, 3),
        "unet.down_blocks_0_downsamplers_0_conv": (320, 320, 3, 3),
        "unet.add_embedding_linear_1": (1280, 2816),
    }
    layers = CheckpointLayers(names, layers_per_block=2)
    for name, shape in (
        ("input_blocks_4_1_transformer_blocks_0_attn1_to_q", (640, 640)),
        ("middle_block_1_proj_in", (1280, 1280)),
        ("middle_block_2_out_layers_3", (1280, 1280, 3, 3)),
        ("output_blocks_2_2_conv", (1280, 1280, 3, 3)),
        ("input_blocks_3_0_op", (320, 320, 3, 3)),
        ("label_emb_0_0", (1280, 2816)),
        ("input_blocks_5_1_proj_in", None),
        ("middle_block_9_proj_in", None),
    ):
        assert layers.shape_of(f"lora_unet_{name}", "kohya") == shape, name


def test_flux_layers_that_other_programs_keep_as_one_are_added_up():
    blocks = {f"transformer.single_transformer_blocks_3_attn_to_{each}": (3072, 3072) for each in "qkv"}
    layers = CheckpointLayers(
        {
            **blocks,
            "transformer.single_transformer_blocks_3_proj_mlp": (12288, 3072),
            "transformer.transformer_blocks_0_attn_to_add_out": (3072, 3072),
        },
        layers_per_block=0,
    )
    assert layers.shape_of("lora_unet_single_blocks_3_linear1", "kohya") == (21504, 3072)
    assert layers.shape_of("lora_unet_double_blocks_0_txt_attn_proj", "kohya") == (3072, 3072)
    assert layers.shape_of("single_blocks.3.processor.qkv_lora", "xlabs") == (9216, 3072)
    assert layers.shape_of("double_blocks.0.processor.proj_lora2", "xlabs") == (3072, 3072)
    assert layers.shape_of("lora_unet_single_blocks_4_linear1", "kohya") is None


# --- trigger words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noted", "words"),
    [
        ({}, ""),
        ({"modelspec.trigger_phrase": " sks  style "}, "sks style"),
        (
            {
                "ss_tag_frequency": '{"5_sks": {"sks": 20, "red": 19, "blue": 3}, "2_b": {"sks": 10}}',
                "ss_dataset_dirs": '{"5_sks": {"img_count": 20}, "2_b": {"img_count": 10}}',
            },
            "sks",
        ),
        ({"ss_tag_frequency": '{"5_sks": {"sks": 20}}'}, ""),
        ({"ss_tag_frequency": "{", "ss_dataset_dirs": "[]"}, ""),
        ({"ss_tag_frequency": '{"a": {"b": true, "c": "d"}}', "ss_dataset_dirs": '{"a": {"img_count": "x"}}'}, ""),
        ({"modelspec.trigger_phrase": "x" * 5000}, ""),
    ],
)
def test_trigger_words_are_taken_from_what_the_trainer_noted(noted, words):
    assert metadata.trigger_words(noted) == words
