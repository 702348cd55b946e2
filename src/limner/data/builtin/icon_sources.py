"""The families of the set `icons`: one drawing style each, one npm package each, coloured ones first."""

from dataclasses import dataclass

from limner.data.builtin.icon_families import Family
from limner.data.builtin.packages import Package

__all__ = ["ICON_SOURCES", "IconSource"]


@dataclass(frozen=True, kw_only=True)
class IconSource:
    """A family of icons: its styles by the endings of its names, the preferred one first.

    An icon in a style that is `left_out` is passed over; at most `most` drawings bear the same words.
    """

    family: Family
    styles: tuple[str, ...] = ("",)
    left_out: tuple[str, ...] = ()
    most: int = 1


def _source(
    name: str,
    version: str,
    sha256: str,
    licence: str,
    *,
    styles: tuple[str, ...] = ("",),
    left_out: tuple[str, ...] = (),
    most: int = 1,
) -> IconSource:
    package = Package(client="npm", name=f"@iconify-json/{name}", version=version, sha256=sha256)
    return IconSource(family=Family(package=package, licence=licence), styles=styles, left_out=left_out, most=most)


ICON_SOURCES: dict[str, IconSource] = {
    "streamline-color": _source(
        "streamline-color",
        "1.2.2",
        "06c2addb59f572b2bfe581863888fcf7dbe0927e0511e7157c54f332fe90347f",
        "CC-BY-4.0",
        styles=("", "flat"),
        most=2,
    ),
    "streamline-flex-color": _source(
        "streamline-flex-color",
        "1.2.2",
        "17ef2e9d596bb288991c271a2b468be822f994cb073c94801a1c186a0e4af827",
        "CC-BY-4.0",
        styles=("", "flat"),
        most=2,
    ),
    "streamline-plump-color": _source(
        "streamline-plump-color",
        "1.2.2",
        "33ed8a9ebda9ed896125f1e01873105688d68d0b0c95ca1bcead5a41309afcf6",
        "CC-BY-4.0",
        styles=("", "flat"),
        most=2,
    ),
    "streamline-sharp-color": _source(
        "streamline-sharp-color",
        "1.2.2",
        "2bf3019009ba033d723823dc16ff3c7f5a7dbce25e31860ed9d4b1060a1f5831",
        "CC-BY-4.0",
        styles=("", "flat"),
        most=2,
    ),
    "streamline-ultimate-color": _source(
        "streamline-ultimate-color",
        "1.2.2",
        "46133a11f3734bcef29066391d7edc141ed1d8056242ddfa1b5d36ce286420b6",
        "CC-BY-4.0",
        most=2,
    ),
    "streamline-kameleon-color": _source(
        "streamline-kameleon-color",
        "1.2.2",
        "5f972d986afb340d8a45d7a16e767f99f91fdd94db53e46a78c79847212aed7b",
        "CC-BY-4.0",
        styles=("", "duo"),
        most=2,
    ),
    "streamline-stickies-color": _source(
        "streamline-stickies-color",
        "1.2.2",
        "e96b8b2bbe1efde22272c420a75024b4b2c7e224ec1f323c93a421a07410971e",
        "CC-BY-4.0",
        styles=("", "duo"),
        most=2,
    ),
    "streamline-cyber-color": _source(
        "streamline-cyber-color",
        "1.2.2",
        "bc71bb624b8a500841e2e47c0175bf13dfb99b38a6ddc2421d3ac21331e21eac",
        "CC-BY-4.0",
        most=2,
    ),
    "streamline-freehand-color": _source(
        "streamline-freehand-color",
        "1.2.2",
        "00d74cbddaf1bcf35c8614ac0544d10af69c7cee8801475473fe424ee0c0c642",
        "CC-BY-4.0",
        most=2,
    ),
    "streamline-emojis": _source(
        "streamline-emojis",
        "1.2.4",
        "5dac87c876b322500989828c5823143e0100d78881627a2e4081a4b897cbfdbc",
        "CC-BY-4.0",
        most=2,
    ),
    "flat-color-icons": _source(
        "flat-color-icons",
        "1.2.3",
        "d8878a9b0f02d749bc8671eb7d47882eb711185cbcefbb365cbfb488773c4786",
        "MIT",
    ),
    "fluent-color": _source(
        "fluent-color",
        "1.2.21",
        "fa2ddaaac7a2a7b902659cea1b5b8c03017ce2ae56295138876b86a36177dfbe",
        "MIT",
        styles=("32", "48", "28", "24", "20", "16"),
    ),
    "icon-park": _source(
        "icon-park",
        "1.2.4",
        "c1a25212a31602aca93c3fa6f6b3288e89b9d7811afc132dfd78506e9d586b6f",
        "Apache-2.0",
    ),
    "meteocons": _source(
        "meteocons",
        "1.2.4",
        "1c0b49c6375c0e35c3ed65db6e41e9811a0cbd2368c13ee27f870f60c6185ff0",
        "MIT",
        styles=("fill", ""),
        most=2,
    ),
    "marketeq": _source(
        "marketeq",
        "1.2.2",
        "80070c7b0fb41ed5198ecadb9145984d2221b975bb9e0f52f563beb241d549cb",
        "MIT",
        most=2,
    ),
    "flat-ui": _source(
        "flat-ui",
        "1.2.3",
        "f7f83b80a26d83d93db6def7d44caaf6c211998bb8e248e511b98a33cf9cb655",
        "MIT",
    ),
    "solar": _source(
        "solar",
        "1.2.13",
        "9efec9045e9188c5dd5cf9de52f8ad968ffabee565026480a6c74bfe63b3bbc2",
        "CC-BY-4.0",
        styles=("bold-duotone", "line-duotone"),
        left_out=("broken", "linear", "outline", "bold"),
        most=2,
    ),
    "game-icons": _source(
        "game-icons",
        "1.2.4",
        "f5758efb34d91c4f50b941f355f16ee73938625e5996fabc25171288404460a4",
        "CC-BY-3.0",
        most=2,
    ),
    "mdi": _source(
        "mdi",
        "1.2.3",
        "ddd817a7213f91de51147943915c0cda8c8b818a53c92b5c068cfa9883c6d7ac",
        "Apache-2.0",
        styles=("", "outline"),
    ),
    "tabler": _source(
        "tabler",
        "1.2.41",
        "3bf99af156d28d05568aff524a35ed1ba238df640a7835a5e02e1f8e439685f6",
        "MIT",
        styles=("", "filled"),
    ),
    "ph": _source(
        "ph",
        "1.2.2",
        "e3a582a047d9829fc7e8842c660d8065e598d1b68bb58cb68e75a1f1e5a614cc",
        "MIT",
        styles=("duotone", ""),
        left_out=("thin", "light", "bold", "fill"),
        most=2,
    ),
    "fa6-solid": _source(
        "fa6-solid",
        "1.2.4",
        "082c792eaad4751626438773fa7360cb23f495b687cf2dd01b2b0fccc7f6af8b",
        "CC-BY-4.0",
    ),
    "healthicons": _source(
        "healthicons",
        "1.2.13",
        "4c2552c45737788a6599da3c5b72610c7fb4e7f87075d401c56fa16d487d4caf",
        "MIT",
        styles=("", "outline"),
        left_out=("24px", "outline-24px"),
        most=2,
    ),
    "temaki": _source(
        "temaki",
        "1.2.6",
        "24a874e1d81a7de9d56e534fdc56287cfe6e73488a24ef5c8982d4fd5f294d8d",
        "CC0-1.0",
    ),
    "hugeicons": _source(
        "hugeicons",
        "1.2.35",
        "cca09de913319938961fa0613a8eb42952f76c3ee13a7c68ef411091590c5d8b",
        "MIT",
    ),
    "mingcute": _source(
        "mingcute",
        "1.2.8",
        "fec65f4430ac70a968e0e7fc7741e7064ba91e6da992b905f75c9d70c717bd2c",
        "Apache-2.0",
        styles=("fill", "line"),
    ),
    "lucide": _source(
        "lucide",
        "1.2.137",
        "e74db8c3a55fff55bc82de21268c4bced9f65ff10aacc0d5f3a395b0e93243c3",
        "ISC",
    ),
    "streamline-pixel": _source(
        "streamline-pixel",
        "1.2.0",
        "404d450254e0e205769f8b13d339f74339709fdad101d19297e34b57a671f6e3",
        "CC-BY-4.0",
    ),
}
"""Every family, by name."""
