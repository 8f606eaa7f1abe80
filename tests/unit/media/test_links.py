"""A link has one normal form, which the frozen grammar accepts; what has none is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from federation.local_errors.content import SignalMalformed
from federation.media.links import normalise_url
from federation.protocol.signals_urls import check_url

FORMS = {
    "  https://example.org  ": b"https://example.org/",
    "HTTP://EXAMPLE.org:80/a/../b/./c": b"http://example.org/b/c",
    "https://example.org:443/": b"https://example.org/",
    "https://example.org:80/": b"https://example.org:80/",
    "https://b\u00fccher.example/\u00fc?\u00fc=\u00df": (
        b"https://xn--bcher-kva.example/%C3%BC?%C3%BC=%C3%9F"
    ),
    "https://example.org./": b"https://example.org/",
    "https://example.org/%7euser/%c3%bc": b"https://example.org/~user/%C3%BC",
    "https://example.org/a%2fb": b"https://example.org/a%2Fb",
    "https://example.org/a b": b"https://example.org/a%20b",
    "https://example.org/100%": b"https://example.org/100%25",
    "https://example.org/?": b"https://example.org/",
    "https://example.org/#top": b"https://example.org/",
    "https://example.org/?a[]=1": b"https://example.org/?a%5B%5D=1",
    "https://example.org/?q=a+b%2Bc": b"https://example.org/?q=a+b%2Bc",
    "https://example.org/?b=2&a=1&utm_source=x": b"https://example.org/?b=2&a=1&utm_source=x",
    "http://[2001:DB8:0:0::1]:8080/": b"http://[2001:db8::1]:8080/",
    "https://www.example.org/a/": b"https://www.example.org/a/",
}


@pytest.mark.parametrize("text", FORMS)
def test_link_gets_its_normal_form_and_keeps_it(text: str) -> None:
    assert FORMS[text] == normalise_url(text)
    assert FORMS[text] == normalise_url(FORMS[text].decode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "//example.org/",
        "ftp://example.org/",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user:secret@example.org/",
        "https://user@example.org/",
        "https://a..b/",
        "https://-a.example/",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://example.org/" + "a" * 2_048,
        "https://example.org/" + "\u00fc" * 1_000,
        "https://[::1/",
        "https://a\u2100b.example/",
    ],
)
def test_what_has_no_normal_form_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(SignalMalformed) as refused:
        normalise_url(text)
    assert "example" not in refused.value.message


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda rest: f"https://example.org/{rest}"))
@example("https://0:0")
@example("http://[v1.a]/")
def test_any_text_has_a_normal_form_that_is_its_own_or_none(text: str) -> None:
    try:
        value = normalise_url(text)
    except SignalMalformed:
        return
    check_url(value)
    assert value == normalise_url(value.decode())
