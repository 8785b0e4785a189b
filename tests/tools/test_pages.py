"""Pages of the web as text: what a reader sees and nothing that hides, by hops that the rights allow."""

from collections.abc import AsyncIterator

import pytest

from freehold.kernel.labels import Confidentiality, Integrity
from freehold.kernel.rights import right
from freehold.reader.page import read
from freehold.sandbox import Level
from freehold.testing.estates import OWNER
from tests.needs import walls
from tests.tools.conftest import Desk
from tests.tools.site import Reply, Site, site

PAGE = b"""<!doctype html><html><head><title>Prices &amp; more</title>
<style>.off{display:none} p.tiny , #gone {font-size:0} .dark{background:#000;color:white}</style></head><body>
<h1>Prices</h1><p>A chair is <b>40 EUR</b>. <a href="/order?a=1">Order</a> <a href="javascript:x()">here</a></p>
<script>send('everything')</script><p class=off>HIDDEN-1</p><p class="tiny">HIDDEN-2</p><p id=gone>HIDDEN-3</p>
<p style="color:#fff">HIDDEN-4</p><p style="color:#fefefe;background:white">HIDDEN-5</p><p hidden>HIDDEN-6</p>
<div style="position:absolute;left:-9999px">HIDDEN-7</div><p style="opacity:0">HIDDEN-8</p>
<font color=white>HIDDEN-9</font><!-- HIDDEN-10 --><input type=hidden value=HIDDEN-11>
<p style="visibility: hidden">HIDDEN-12</p><p style="color:rgba(0,0,0,0)">HIDDEN-13</p><noscript>HIDDEN-14</noscript>
<p class="dark">Shown on dark.</p>pay\xe2\x80\x8b \xf3\xa0\x81\xa9\xf3\xa0\x81\xa7now
<p style="display:none">HIDDEN-15</p>tail
<img alt="a chair" src="http://elsewhere.example/beacon.png"></body></html>"""


@pytest.fixture
async def served(desk: Desk) -> AsyncIterator[Site]:
    """A site on the estate's premises that the agent may read."""
    await desk.estate.rooms.ledger.commit(
        desk.estate.rooms.settings.change({"premises_hosts": ["127.0.0.1"]}, by=OWNER)
    )
    with site() as running:
        desk.may = (right("http.request", f"GET {running.url}/"),)
        yield running


async def test_a_page_is_text_with_its_links_and_without_what_hides(desk: Desk, served: Site) -> None:
    served.pages["/prices"] = Reply(PAGE)
    page = await desk.one("page.read", url=f"{served.url}/prices")
    assert (page["status"], page["title"]) == (200, "Prices & more")
    assert "HIDDEN" not in page["text"]
    assert f"[Order]({served.url}/order?a=1)" in page["text"]
    assert "A chair is 40 EUR." in page["text"]
    assert "Shown on dark." in page["text"]
    assert "pay now" in page["text"]
    assert "tail" in page["text"]
    assert "javascript" not in page["text"]
    assert page["hidden"]["elements"] >= 10
    assert page["hidden"]["characters"] == 3
    assert served.asked == ["/prices"]  # nothing that the page names was fetched
    label = desk.label()
    assert (label.integrity, label.confidentiality) == (Integrity.STRANGER, Confidentiality.INTERNAL)
    assert "web:127.0.0.1" in label.sources


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
async def test_a_page_is_read_behind_walls_too(desk: Desk, served: Site, level: Level) -> None:
    walls(level)
    desk.estate.level = level
    served.pages["/prices"] = Reply(PAGE)
    page = await desk.one("page.read", url=f"{served.url}/prices")
    assert "A chair is 40 EUR." in page["text"]


async def test_a_redirect_is_followed_within_the_host_as_far_as_the_rights_go(
    desk: Desk, served: Site
) -> None:
    desk.may = (right("http.request", f"GET {served.url}/open"),)
    served.pages |= {
        "/open": Reply(status=302, location="/open/here"),
        "/open/here": Reply(b"<p>Here.</p>"),
        "/open/out": Reply(status=301, location="http://evil.example/?q=1"),
        "/open/in": Reply(status=307, location="/closed"),
        "/closed": Reply(b"<p>Not for you.</p>"),
        "/open/round": Reply(status=302, location="/open/round"),
    }
    page = await desk.one("page.read", url=f"{served.url}/open")
    assert (page["text"], page["url"]) == ("Here.", f"{served.url}/open/here")
    out = await desk.one("page.read", url=f"{served.url}/open/out")
    assert (out["redirect"], "text" in out) == ("http://evil.example/?q=1", False)
    inside = await desk.one("page.read", url=f"{served.url}/open/in")
    assert inside["redirect"] == f"{served.url}/closed"
    assert "/closed" not in served.asked
    assert "sends on more than" in await desk.refused("page.read", url=f"{served.url}/open/round")


async def test_what_no_right_names_is_not_read(desk: Desk, served: Site) -> None:
    desk.may = (right("http.request", f"GET {served.url}/open"),)
    said = await desk.refused("page.read", url=f"{served.url}/other")
    assert f"Add `http.request: GET {served.url}/other` under `may`" in said
    assert "not a web address" in await desk.refused("page.read", url="file:///etc/passwd")
    assert served.asked == []


async def test_a_long_page_comes_in_parts_and_what_is_no_page_is_said_to_be_none(
    desk: Desk, served: Site
) -> None:
    served.pages["/long"] = Reply(b"word " * 20_000, "text/plain")
    first = await desk.one("page.read", url=f"{served.url}/long")
    rest = await desk.one("page.read", url=f"{served.url}/long", offset=first["next_offset"])
    assert len(first["text"]) == 32 << 10
    assert (first["text"] + rest["text"]).startswith("word " * 12_000)
    served.pages["/file.pdf"] = Reply(b"%PDF-1.7", "application/pdf")
    assert "application/pdf, which is no page of text" in await desk.refused(
        "page.read", url=f"{served.url}/file.pdf"
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 1000, b"<div>" * 50_000 + b"deep", b"<a href='" + b"x" * 400_000, b"<table>" * 3_000 + b"x",
     b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><p>&b;</p>", bytes(range(256)) * 100,
     b"<ul>" * 2_000 + b"<li>x", b"<p style='" + b"color:red;" * 20_000 + b"'>x</p>", b"<style>" + b"a{" * 50_000],
    ids=["empty", "nothing", "deep", "attribute", "tables", "entity", "bytes", "lists", "style", "sheet"],
)  # fmt: skip
def test_no_page_breaks_the_reader(data: bytes) -> None:
    found = read(data, {"type": "text/html", "base": "http://example.org/"})
    assert set(found) == {"title", "text", "hidden_elements", "hidden_characters"}
    assert "root:" not in found["text"]
    assert len(found["text"]) <= 1 << 20
