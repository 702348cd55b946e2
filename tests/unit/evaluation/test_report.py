from html.parser import HTMLParser

from PIL import Image

from limner.evaluation.report import Section, ShownPicture, report_page


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.sources, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


def parse(**section):
    page = Page()
    page.feed(report_page("Found", "A lead", [Section(**section)], footer="made by hand"))
    return page


def test_pictures_are_inside_the_page_and_nothing_is_fetched():
    hit = ShownPicture(picture=Image.new("RGBA", (900, 30), "red"), caption="a line", score="0.31")
    page = parse(kind="words", query="red line", hits=[hit], asked=Image.new("L", (5, 5)))
    assert len(page.sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "script" not in page.tags and "link" not in page.tags
    assert "0.31" in page.text


def test_every_text_is_escaped():
    bad = '<script>alert("x")</script>&'
    hit = ShownPicture(picture=Image.new("RGB", (4, 4)), caption=bad, score=bad)
    page = parse(kind=bad, query=bad, hits=[hit], note=bad)
    assert "script" not in page.tags
    assert page.text.count(bad) == 5


def test_a_query_without_hits_has_a_section():
    page = parse(kind="words", query="кот", hits=[], note="nothing here matches")
    assert "кот" in page.text
    assert "section" in page.tags
