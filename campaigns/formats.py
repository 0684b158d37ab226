"""The sizes that channels really take, to choose from. Knows names and pixels; a brief may have any other."""

from dataclasses import dataclass
from typing import Final

from campaigns.entered import EnteredChannel


@dataclass(frozen=True, kw_only=True)
class Format:
    """A channel as people call it, with its width and height in pixels; 0 where the photo keeps its own size."""

    slug: str
    name: str
    width: int
    height: int
    scale: str = "0.7"
    anchor: str = "bottom"

    def entered(self, *, is_placed: bool) -> EnteredChannel:
        """The format as a form's channel, with or without a product to place."""
        if not self.width:
            return EnteredChannel(name=self.name, way="keep")
        return EnteredChannel(
            name=self.name,
            way="place" if is_placed else "text",
            width=str(self.width),
            height=str(self.height),
            scale=self.scale,
            anchor=self.anchor,
        )


FORMATS: Final = {
    each.slug: each
    for each in (
        Format(slug="instagram-square", name="Instagram square", width=1080, height=1080),
        Format(slug="instagram-portrait", name="Instagram portrait", width=1080, height=1350),
        Format(slug="story", name="Story", width=1080, height=1920, scale="0.6"),
        Format(slug="linkedin", name="LinkedIn", width=1200, height=627, scale="0.8"),
        Format(slug="leaderboard", name="Leaderboard", width=728, height=90, scale="0.9", anchor="right"),
        Format(slug="marketplace", name="Marketplace", width=2000, height=2000, scale="0.85", anchor="center"),
        Format(slug="own-size", name="Photo's own size", width=0, height=0),
    )
}
