"""The pages of products: taking in by upload or CSV, masks arriving while one looks, a title, a photo, a farewell."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from campaigns.models import MaskSource, Photo, Product
from gallery import storage
from tests.campaigns.shelf import SIZE, mask, photo_of, png, stock
from tests.conftest import NOW
from tests.studio.page_text import found_in, words
from tests.studio.samples import Samples

HTMX = {"HX-Request": "true"}
PRODUCTS = "/w/acme/products/"


@pytest.fixture
def producer(browser: Callable[[str], Client]) -> Client:
    return browser("producer")


def white(size: tuple[int, int]) -> bytes:
    return png(Image.new("L", size, 255))


def black(size: tuple[int, int]) -> bytes:
    return png(Image.new("L", size, 0))


def half_mask() -> bytes:
    image = Image.new("L", SIZE, 0)
    image.paste(255, (0, 0, SIZE[0] // 2, SIZE[1]))
    return png(image)


def file(name: str, data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


# --- taking in ---


def test_photos_come_in_and_the_next_page_says_how_many(producer, django_capture_on_commit_callbacks):
    sent = [file("MUG.png", photo_of("MUG")), file("MUG-mask.png", mask()), file("CUP.png", photo_of("CUP"))]
    answer = producer.post(f"{PRODUCTS}add/", {"photos": sent}, follow=True)
    assert answer.redirect_chain == [(PRODUCTS, 302)]
    page = words(answer)
    assert "Products: 2 added." in page
    assert "Mask from a file" in page
    assert "Making the mask" in page


def test_a_bad_file_among_good_ones_is_named_and_the_others_are_in(producer):
    sent = [file("MUG.png", photo_of("MUG")), file("notes.png", b"words")]
    page = words(producer.post(f"{PRODUCTS}add/", {"photos": sent}))
    assert "1 file could not be taken" in page
    assert "notes.png" in page
    assert "The others are in." in page
    assert [product.sku for product in Product.objects.all()] == ["MUG"]


@pytest.mark.parametrize("sent", [{}, {"photos": [file("MUG.png", b"")]}])
def test_nothing_chosen_or_an_empty_file_is_told_at_the_field(producer, sent):
    answer = producer.post(f"{PRODUCTS}add/", sent)
    assert "errorlist" in answer.content.decode()
    assert not Product.objects.exists()


def test_a_csv_comes_in_as_a_whole_or_not_at_all(producer):
    text = b"sku,title,photo,mask\nMUG,A mug,photos/m.png,masks/k.png\nCUP,A cup,c.png,\n"
    images = [file("m.png", photo_of("MUG")), file("k.png", mask())]
    page = words(producer.post(f"{PRODUCTS}add-csv/", {"csv": file("p.csv", text), "images": images}))
    assert "Nothing was imported" in page
    assert "p.csv, line 3 CUP photo: c.png is not among the files that were sent." in page
    assert not Product.objects.exists()
    images = [file("m.png", photo_of("MUG")), file("k.png", mask()), file("c.png", photo_of("CUP"))]
    answer = producer.post(f"{PRODUCTS}add-csv/", {"csv": file("p.csv", text), "images": images}, follow=True)
    assert "Products: 2 added." in words(answer)


def test_the_same_upload_twice_changes_nothing(producer):
    for _ in range(2):
        producer.post(f"{PRODUCTS}add/", {"photos": [file("MUG.png", photo_of("MUG"))]})
    assert (Product.objects.count(), Photo.objects.count()) == (1, 1)


def test_more_than_a_hundred_files_at_once_are_taken(producer):
    sent = [file(f"SKU-{at}.png", photo_of(f"SKU-{at}")) for at in range(60)]
    masks = [file(f"SKU-{at}-mask.png", mask()) for at in range(60)]
    producer.post(f"{PRODUCTS}add/", {"photos": [*sent, *masks]})
    assert Product.objects.count() == 60


# --- the shelf ---


def test_an_empty_shelf_says_who_fills_it(browser):
    assert "No products yet" in words(browser("viewer").get(PRODUCTS))
    assert "Add photos" in words(browser("producer").get(PRODUCTS))
    assert "Add photos" not in words(browser("viewer").get(PRODUCTS))


@pytest.mark.parametrize("number", [2, 60])
def test_the_shelf_costs_the_same_queries_for_few_and_for_many(
    browser, workspace, django_assert_max_num_queries, number
):
    stock(workspace.pk, *(f"SKU-{at}" for at in range(number)))
    client = browser("viewer")
    with django_assert_max_num_queries(12):
        assert client.get(PRODUCTS).content.count(b'class="product"') == number


def test_pages_follow_one_another_without_a_gap(browser, workspace):
    Product.objects.bulk_create(
        Product(workspace=workspace, sku=f"SKU-{at:03}", title="x", created_at=NOW + timedelta(seconds=at // 7))
        for at in range(130)
    )
    client, seen, query = browser("viewer"), "", ""
    for _ in range(3):
        page = client.get(PRODUCTS + query, headers=HTMX).content.decode()
        seen += page
        if "products-more" not in page:
            break
        query = found_in(page, r'hx-get="(\?after=[^"]*)"')
    assert all(seen.count(f'<b class="truncate">SKU-{at:03}<') == 1 for at in range(130))


def test_a_search_finds_by_sku_and_title_and_says_when_there_is_nothing(browser, workspace):
    stock(workspace.pk, "MUG", "CUP")
    client = browser("viewer")
    assert "MUG" not in words(client.get(f"{PRODUCTS}?q=the+cup", headers=HTMX))
    assert "No product’s SKU or title has “zebra” in it." in words(client.get(f"{PRODUCTS}?q=zebra"))


def test_a_mask_that_arrives_takes_its_place_while_one_looks(browser, workspace, django_assert_max_num_queries):
    stock(workspace.pk, "MUG", "CUP", has_mask=False)
    client = browser("viewer")
    poll = found_in(client.get(PRODUCTS).content.decode(), r'hx-get="([^"]*masks/[^"]*)"')
    with django_assert_max_num_queries(4):
        assert client.get(poll, headers=HTMX).status_code == 204
    made = {"mask_key": storage.put(workspace.pk, mask(), suffix=".png"), "mask_source": MaskSource.OPENCV}
    Photo.objects.filter(product__sku="MUG").update(**made, mask_confidence=0.9)
    moved = client.get(poll, headers=HTMX)
    assert moved.status_code == 200
    assert "Mask ready" in words(moved)
    Photo.objects.filter(product__sku="CUP").update(mask_failure="No product was found.")
    poll = found_in(moved.content.decode(), r'hx-get="([^"]*masks/[^"]*)"')
    last = client.get(poll, headers=HTMX)
    assert last.status_code == 286
    assert "No mask" in words(last)


def test_products_of_others_are_not_among_those_that_a_poll_asks_for(browser, make_workspace):
    theirs = stock(make_workspace("other").pk, "SECRET", has_mask=False)["SECRET"]
    answer = browser("viewer").get(f"{PRODUCTS}masks/?ids={theirs.pk}&v=x", headers=HTMX)
    assert "SECRET" not in words(answer)


# --- one product ---


def test_a_title_is_saved_or_refused_in_words(producer, workspace):
    address = f"{PRODUCTS}{stock(workspace.pk, 'MUG')['MUG'].pk}/"
    assert "The title is saved." in words(producer.post(address, {"title": " A mug "}, follow=True))
    assert Product.objects.get().title == "A mug"
    assert "Write what the product is." in words(producer.post(address, {"title": " "}))
    assert Product.objects.get().title == "A mug"


def test_a_photo_is_replaced_with_its_mask_or_refused_in_words(producer, workspace):
    mug = stock(workspace.pk, "MUG")["MUG"]
    address = f"{PRODUCTS}{mug.pk}/photo/"
    assert "Choose the photo." in words(producer.post(address, {"mask": file("k.png", mask())}))
    refused = producer.post(address, {"photo": file("x.png", b"words")})
    assert "errorlist" in refused.content.decode()
    assert Product.objects.get().photo_id == mug.photo_id
    sent = {"photo": file("new.png", photo_of("new")), "mask": file("k.png", mask())}
    assert "The photo is replaced." in words(producer.post(address, sent, follow=True))
    photo = Product.objects.get().photo
    assert photo is not None
    assert (photo.pk != mug.photo_id, photo.mask_source) == (True, MaskSource.FILE)


def test_a_mask_that_failed_is_tried_again(producer, workspace):
    mug = stock(workspace.pk, "MUG", has_mask=False)["MUG"]
    Photo.objects.update(mask_failure="No product was found.")
    address = f"{PRODUCTS}{mug.pk}/"
    assert "No product was found." in words(producer.get(address))
    assert "Its mask is tried again." in words(producer.post(f"{address}mask/", follow=True))
    assert Photo.objects.get().mask_failure == ""


def test_a_painted_mask_takes_the_place_of_the_one_that_was_found(producer, workspace):
    mug = stock(workspace.pk, "MUG")["MUG"]
    before = mug.photo
    assert before is not None
    address = f"{PRODUCTS}{mug.pk}/mask/paint/"
    page = producer.get(address).content.decode()
    assert f"/photos/{before.pk}/lock_mask/" in page
    answer = producer.post(address, {"photo": before.pk, "mask": file("mask.png", half_mask())}, follow=True)
    assert "The mask is saved." in words(answer)
    assert "Mask painted by hand" in words(answer)
    photo = Product.objects.get().photo
    assert photo is not None
    assert (photo.upload_id, photo.mask_source) == (before.upload_id, MaskSource.HAND)
    # What was made with the one before can still be made again.
    assert Photo.objects.get(pk=before.pk).mask_key not in ("", photo.mask_key)


@pytest.mark.parametrize(
    ("painted", "sentence"),
    [
        (white(SIZE), "All of the photo is protected"),
        (black(SIZE), "Nothing is protected"),
        (white((SIZE[0] + 1, SIZE[1])), "Make the mask as large as the photo."),
        (b"words", "mask.png"),
        (None, "Paint the mask, or choose its file."),
    ],
)
def test_a_mask_that_protects_nothing_or_all_or_another_photo_is_refused(producer, workspace, painted, sentence):
    mug = stock(workspace.pk, "MUG")["MUG"]
    sent = {"photo": mug.photo_id} | ({} if painted is None else {"mask": file("mask.png", painted)})
    answer = producer.post(f"{PRODUCTS}{mug.pk}/mask/paint/", sent)
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert Product.objects.get().photo_id == mug.photo_id


def test_a_mask_for_a_photo_that_was_replaced_meanwhile_is_refused(producer, workspace):
    mug = stock(workspace.pk, "MUG")["MUG"]
    old = mug.photo_id
    sent = {"photo": file("new.png", photo_of("new")), "mask": file("k.png", mask())}
    producer.post(f"{PRODUCTS}{mug.pk}/photo/", sent)
    answer = producer.post(f"{PRODUCTS}{mug.pk}/mask/paint/", {"photo": old, "mask": file("mask.png", half_mask())})
    assert "another photo meanwhile" in words(answer)
    assert Product.objects.get().photo_id != old


def test_a_photo_of_another_product_gets_no_mask_through_this_one(producer, workspace):
    shelf = stock(workspace.pk, "MUG", "CUP")
    sent = {"photo": shelf["CUP"].photo_id, "mask": file("mask.png", half_mask())}
    assert producer.post(f"{PRODUCTS}{shelf['MUG'].pk}/mask/paint/", sent).status_code == 404


def test_where_no_mask_was_found_one_is_painted_from_nothing(producer, workspace):
    mug = stock(workspace.pk, "MUG", has_mask=False)["MUG"]
    Photo.objects.update(mask_failure="No product was found.")
    assert "Paint the mask" in words(producer.get(f"{PRODUCTS}{mug.pk}/"))
    address = f"{PRODUCTS}{mug.pk}/mask/paint/"
    assert "data-inverted" in producer.get(address).content.decode()
    producer.post(address, {"photo": mug.photo_id, "mask": file("mask.png", half_mask())})
    photo = Product.objects.get().photo
    assert photo is not None
    assert photo.mask_source == MaskSource.HAND


def test_a_product_goes_after_a_question_and_stays_while_a_campaign_uses_it(producer, workspace):
    samples = Samples(workspace)
    samples["cell"]
    used = f"{PRODUCTS}{samples.id('product')}/"
    assert "uses this product, so it stays" in words(producer.post(f"{used}remove/", follow=True))
    free = stock(workspace.pk, "FREE")["FREE"]
    assert "Remove FREE?" in words(producer.get(f"{PRODUCTS}{free.pk}/remove/"))
    assert "FREE is removed." in words(producer.post(f"{PRODUCTS}{free.pk}/remove/", follow=True))
    assert producer.post(f"{PRODUCTS}{free.pk}/remove/").status_code == 404
