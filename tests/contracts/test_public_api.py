"""What `import limner` offers."""

import limner


def test_every_public_name_is_there() -> None:
    assert limner.__all__ == sorted(limner.__all__)
    for name in limner.__all__:
        assert getattr(limner, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not [name for name in ("Colection", "index") if name in dir(limner)]
    try:
        limner.Colection  # noqa: B018
    except AttributeError as error:
        assert "Collection" in str(error)
    else:
        raise AssertionError("an unknown name must not be found")
