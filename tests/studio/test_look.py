"""What the template tags draw: states, pencil marks, the bar of states, credits in words, the sidebar, forms."""

import re
from datetime import timedelta

import pytest
from django import forms
from django.template import Context, Template
from heroicons import IconDoesNotExist

from inference.eta import Forecast
from studio.templatetags import studio_page
from studio.widgets import DropZone, NumberWithUnit, Segmented, Switch


def render(text: str, **context: object) -> str:
    return Template("{% load credits look %}" + text).render(Context(context)).strip()


# --- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("likely_s", "late_s", "told"),
    [
        (240, 420, "about 4 min, 7 min at the latest (95 %)"),
        (12, 31, "about 15 s, 35 s at the latest (95 %)"),
        (240, 255, "about 4 min"),
        (0, 0, "about 1 s"),
        (7200, 9000, "about 2 h"),
    ],
)
def test_a_forecast_tells_its_late_end_where_that_is_another(likely_s, late_s, told):
    forecast = Forecast(p50=timedelta(seconds=likely_s), p95=timedelta(seconds=late_s))
    assert studio_page.foretold(forecast) == told
    assert told.startswith(studio_page.or_late(forecast.p50, forecast.p95))
    assert studio_page.or_late(forecast.p50, None) == told.partition(",")[0]


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "figure"),
    [
        (0, "0"),
        (24_000, "24"),
        (1_500, "1.5"),
        (2_318_000, "2,318"),
        (1, "0.001"),
        (-500, "−0.5"),
        (-2_000_000, "−2,000"),
    ],
)
def test_credits_are_grouped_and_never_rounded(amount, figure):
    assert render("{{ amount|credits }}", amount=amount) == figure


@pytest.mark.parametrize(("amount", "words"), [(1_000, "1 credit"), (24_000, "24 credits"), (500, "0.5 credits")])
def test_credits_have_the_right_plural(amount, words):
    assert render("{{ amount|in_words }}", amount=amount) == words


def test_counts_have_the_right_plural_and_their_thousands_apart():
    assert render('{{ 1|counted:"image" }}, {{ 0|counted:"image" }}') == "1 image, 0 images"
    assert render('{{ 2|counted:"shelf,shelves" }}, {{ 1|counted:"shelf,shelves" }}') == "2 shelves, 1 shelf"
    assert render("{{ 20000|grouped }}") == "20,000"


# --- states ----------------------------------------------------------------------------------------------------------


def test_a_state_has_a_shape_and_a_word():
    drawn = render('{% state "rejected" %}')
    assert re.search(r'<span class="state no"><svg.*aria-hidden="true".*</svg>Rejected</span>', drawn, re.DOTALL)


def test_what_a_page_says_about_a_state_is_shown_as_text():
    assert "&lt;b&gt;Out of memory" in render('{% state "failed" words %}', words="<b>Out of memory")


def test_a_state_that_nobody_knows_is_a_mistake_of_the_page():
    with pytest.raises(KeyError):
        render('{% state "lost" %}')
    with pytest.raises(IconDoesNotExist):
        render('{% icon "unicorn" %}')


def test_only_a_verdict_leaves_a_pencil_mark():
    assert 'class="pencil approved"' in render('{% pencil "approved" %}')
    assert render('{% pencil "pending" %}') == ""


def test_the_bar_of_states_fills_the_whole_width_in_the_order_given_and_says_the_counts():
    bar = render("{% state_bar approved=3 rejected=0 pending=1 %}")
    parts = re.findall(r'<rect class="(\w+)" x="([\d.]+)" width="([\d.]+)"', bar)
    assert parts == [("ok", "0.000", "75.000"), ("review", "75.000", "25.000")]
    assert 'aria-label="3 approved, 1 to review"' in bar
    assert 'aria-label="Nothing yet"' in render("{% state_bar approved=0 %}")


# --- forms -----------------------------------------------------------------------------------------------------------


class Form(forms.Form):
    name = forms.CharField(max_length=5, help_text="At most five letters.")
    text = forms.CharField(max_length=9, widget=forms.Textarea)
    count = forms.ChoiceField(choices=[("1", "One"), ("2", "Two")], widget=Segmented)
    agreed = forms.BooleanField(widget=Switch)
    budget = forms.IntegerField(widget=NumberWithUnit(unit="credits"))
    photos = forms.FileField(widget=DropZone(words="Photos", accept="image/png", are_many=True))
    hidden = forms.CharField(widget=forms.HiddenInput, initial="kept")


def test_an_error_and_the_help_are_tied_to_their_field():
    page = Form({"name": "too long"}).as_div()
    field = re.search(r'<input type="text" name="name"[^>]*>', page)
    assert field is not None
    assert 'aria-invalid="true"' in field[0]
    assert 'aria-describedby="id_name_helptext id_name_error"' in field[0]
    assert 'id="id_name_helptext"' in page
    assert 'id="id_name_error"' in page
    assert re.search(r'<fieldset[^>]*aria-describedby="id_count_error"', page)


def test_every_field_has_its_label_and_a_form_keeps_its_hidden_fields():
    page = str(Form())
    for name in ("name", "text", "agreed", "budget", "photos"):
        assert f'<label for="id_{name}"' in page or re.search(rf'<label class="\w+" for="id_{name}"', page), name
    assert "<legend>Count</legend>" in page
    assert 'name="hidden" value="kept"' in page


def test_special_fields_are_drawn_as_such():
    page = str(Form())
    assert re.search(r'<div class="segmented" id="id_count">\s*<label for="id_count_0"><input type="radio"', page)
    assert '<span class="counter" data-counts="id_text">0 / 9</span>' in page
    assert "<span>credits</span>" in page
    assert 'class="switch"' in page
    assert re.search(r'<input type="file" name="photos" accept="image/png" multiple[^>]*>', page)


def test_what_concerns_the_whole_form_is_said_above_it_at_once():
    form = Form({})
    form.is_valid()
    form.add_error(None, "Credits are short.")
    assert re.match(r'\s*<div class="banner no" role="alert"><ul class="errorlist nonfield"><li>Credits', str(form))


# --- the frame -------------------------------------------------------------------------------------------------------


def test_the_sidebar_marks_where_one_is_and_offers_operations_to_staff_only(browser, people):
    page = browser("owner").get("/w/acme/settings/").content.decode()
    assert re.search(r'href="/w/acme/settings/" aria-current="page"', page)
    assert 'href="/operations/"' not in page
    people["owner"].is_staff = True
    people["owner"].save()
    assert 'href="/operations/"' in browser("owner").get("/w/acme/").content.decode()


def test_the_frame_shows_the_balance_and_the_other_workspaces(browser):
    page = browser("viewer").get("/w/acme/").content.decode()
    assert "<b>20,200</b>" in page
    assert re.search(r'<a class="menu-item" href="/w/acme/" aria-current="true">', page)


def test_pages_carry_no_inline_style_script_or_handler(browser):
    for path in ("/", "/style/", "/w/acme/", "/nothing/"):
        page = browser("owner").get(path, follow=True).content.decode()
        assert "<html" in page
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|<script(?![^>]*\ssrc=)", page), path


def test_a_message_reaches_the_page_when_only_a_fragment_is_asked_for(browser):
    client = browser("viewer")
    assert "HX-Trigger" not in client.get("/style/", headers={"HX-Request": "true"}).headers
    posted = client.post("/style/", headers={"HX-Request": "true"})
    assert (posted.status_code, "HX-Trigger" in posted.headers) == (302, False)
    shown = client.get("/style/")
    assert "Saved 3 products." in shown.content.decode()
