"""Concept groups of pictograms: what must not be on both sides of a split because one gives the other away."""

from limner.data.builtin.emoji_names import Emoji

__all__ = ["group_of"]

_ZERO_WIDTH_JOINER, _FEMALE, _MALE, _FACING_RIGHT = "200D", "2640", "2642", "27A1"
_PERSON_FORMS = {
    "1F468": "1F9D1", "1F469": "1F9D1",  # man, woman: person
    "1F466": "1F9D2", "1F467": "1F9D2",  # boy, girl: child
    "1F474": "1F9D3", "1F475": "1F9D3",  # old man, old woman: older person
    "1F478": "1FAC5", "1F934": "1FAC5",  # princess, prince: person with crown
    "1F57A": "1F483",  # the two who dance
    "1F930": "1FAC3", "1FAC4": "1FAC3",  # pregnant
    "1F936": "1F385", "1F9D1-1F384": "1F385",  # Christmas
    "1F46B": "1F46C", "1F46D": "1F46C",  # holding hands
}  # fmt: skip
_CHILDREN = {0x1F466, 0x1F467, 0x1F9D2}
_FAMILY, _COUPLE, _KISS, _KISS_MARK, _HEART, _HANDSHAKE = 0x1F46A, 0x1F491, 0x1F48F, 0x1F48B, 0x2764, 0x1F91D
_LOVE_LETTER = "1F48C"
_SERIES: dict[str, frozenset[int]] = {
    "clocks": frozenset(range(0x1F550, 0x1F568)),
    "moons": frozenset({*range(0x1F311, 0x1F319), *range(0x1F31A, 0x1F31E)}),
    "squares": frozenset(
        {*range(0x1F7E5, 0x1F7EC), 0x2B1B, 0x2B1C, *range(0x25FB, 0x25FF), 0x25AA, 0x25AB, 0x1F532, 0x1F533}
    ),
    "circles": frozenset({*range(0x1F7E0, 0x1F7E5), 0x1F534, 0x1F535, 0x26AA, 0x26AB, 0x2B55}),
    "diamonds": frozenset(range(0x1F536, 0x1F53A)),
    "triangles": frozenset(range(0x1F53A, 0x1F53E)),
}
_SUBGROUPS = {"keycap": "keycaps", "country-flag": "country-flags", "subdivision-flag": "country-flags"}


def group_of(emoji: Emoji) -> str:
    """Concept group: the man, woman and person forms together, and the members of a series together."""
    points = [int(part, 16) for part in emoji.concept.split("-")]
    if len(points) == 1:
        for name, members in _SERIES.items():
            if points[0] in members:
                return name
    if emoji.subgroup in _SUBGROUPS:
        return _SUBGROUPS[emoji.subgroup]
    if emoji.subgroup == "heart" and emoji.concept != _LOVE_LETTER:
        return "hearts"
    if emoji.subgroup == "family" or points[0] == _FAMILY or _CHILDREN.intersection(points[1:]):
        return _together(points)
    return _person_form(emoji.concept)


def _together(points: list[int]) -> str:
    if _KISS_MARK in points or points[0] == _KISS:
        return "kiss"
    if _HEART in points or points[0] == _COUPLE:
        return "couple"
    return "holding-hands" if _HANDSHAKE in points or points[0] in range(0x1F46B, 0x1F46E) else "family"


def _person_form(concept: str) -> str:
    signs = {_ZERO_WIDTH_JOINER, _FEMALE, _MALE, _FACING_RIGHT}
    if concept in signs:
        return _FEMALE if concept == _MALE else concept
    form = "-".join(_PERSON_FORMS.get(part, part) for part in concept.split("-") if part not in signs)
    return _PERSON_FORMS.get(form, form)
