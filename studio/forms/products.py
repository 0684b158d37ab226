"""Forms in which products come in. Their files are decoded by campaigns.products, not here."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from studio.widgets import DropZone

IMAGES = "image/jpeg,image/png,image/webp,image/tiff,image/heic,image/avif"


class FilesField(forms.FileField):
    """Any number of files in one field."""

    def clean(self, data: object, initial: object = None) -> "list[UploadedFile[Any]]":
        """The files that were sent, in order.

        :raises ValidationError: none was sent, and one is required.
        """
        sent = data if isinstance(data, list | tuple) and data else [data or None]
        return [super(FilesField, self).clean(each, initial) for each in sent if each or self.required]


class PhotosForm(forms.Form):
    """One or many photos; each becomes a product named as its file is."""

    photos = FilesField(
        label="Photos",
        widget=DropZone(words="Product photos", accept=IMAGES, are_many=True),
        error_messages={"required": "Choose at least one photo.", "empty": "One of these files is empty."},
    )


class CsvForm(forms.Form):
    """A products file together with the photos and masks that it names."""

    csv = forms.FileField(
        label="Products file",
        widget=DropZone(words="products.csv", accept=".csv,text/csv"),
        error_messages={"required": "Choose the products file."},
    )
    images = FilesField(
        label="Its photos and masks",
        required=False,
        widget=DropZone(words="Photos and masks", accept=IMAGES, are_many=True),
    )


class PhotoForm(forms.Form):
    """Another photo for a product, with a mask of its own if one has been painted."""

    photo = forms.FileField(
        label="Photo",
        widget=DropZone(words="Another photo", accept=IMAGES),
        error_messages={"required": "Choose the photo. A mask goes with the photo that it was painted for."},
    )
    mask = forms.FileField(
        label="Lock mask",
        required=False,
        widget=DropZone(words="Its mask", accept=IMAGES),
        help_text="As large as the photo, white on the product. Without one, a mask is made.",
    )


class MaskForm(forms.Form):
    """The mask that was painted for a photo, and which photo that was."""

    # The page fills the file in when the form is sent, which a browser would refuse to begin without it.
    use_required_attribute = False

    photo = forms.IntegerField(widget=forms.HiddenInput)
    mask = forms.FileField(
        label="Lock mask",
        widget=DropZone(words="Its mask", accept=IMAGES),
        help_text="As large as the photo, white on the product.",
        error_messages={"required": "Paint the mask, or choose its file."},
    )


class TitleForm(forms.Form):
    """What a product is, in words."""

    title = forms.CharField(label="Title", max_length=300, error_messages={"required": "Write what the product is."})
