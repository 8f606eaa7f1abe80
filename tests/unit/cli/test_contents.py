"""Files and --signal arguments become signals, or a coded error that says which is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from federation.cli.contents import (
    check_any,
    check_files_publishable,
    parse_signal_argument,
    read_files,
)
from federation.errors import FederationError, RequestMalformed
from federation.local_errors.content import (
    PictureUnreadable,
    SignalDegenerate,
    SignalLowQuality,
    SignalMalformed,
)
from federation.media.drawing import draw_picture
from federation.protocol.signals import Signal, SignalType

PDQ = "f8" * 32


def test_a_pdq_argument_may_say_its_quality() -> None:
    assert Signal(SignalType.PDQ, bytes.fromhex(PDQ), 80) == parse_signal_argument(f"pdq:{PDQ}@80")


def test_the_quality_option_is_for_a_pdq_that_does_not_say_its_own() -> None:
    assert 70 == parse_signal_argument(f"pdq:{PDQ}", 70).quality
    assert 80 == parse_signal_argument(f"pdq:{PDQ}@80", 70).quality
    assert None is parse_signal_argument("md5:" + "ab" * 16, 70).quality


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pdq",
        "pdq:",
        f"PDQ:{PDQ}",
        f"pdq:{PDQ.upper()}",
        f"pdq:{PDQ[:-2]}",
        f"pdq:{PDQ}@",
        f"pdq:{PDQ}@101",
        f"pdq:{PDQ}@-1",
        f"pdq:{PDQ}@٣",
        f"pdq:{PDQ}@" + "9" * 5000,
        "sha256:" + "ab" * 32 + "@80",
        "crc32:abcdef01",
    ],
)
def test_a_malformed_signal_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SignalMalformed) as refused:
        parse_signal_argument(text)
    assert PDQ not in str(refused.value).lower()


@given(st.text() | st.text("pdqsha256m5:@0123456789abcdef", max_size=90))
@example(f"pdq:{PDQ}@100")
def test_any_signal_argument_is_a_signal_or_our_error(text: str) -> None:
    try:
        parse_signal_argument(text)
    except FederationError:
        return


def test_a_picture_gives_pdq_with_quality_sha256_and_md5(tmp_path: Path) -> None:
    picture = draw_picture(1, width=256, height=192)
    path = tmp_path / "one.jpg"
    path.write_bytes(picture)
    (content,) = read_files([path], is_exact=False)
    pdq, sha256, md5 = content.signals
    assert (str(path), SignalType.PDQ) == (content.name, pdq.type)
    assert pdq.quality is not None
    assert pdq.quality >= 50
    assert Signal(SignalType.SHA256, hashlib.sha256(picture).digest()) == sha256
    assert Signal(SignalType.MD5, hashlib.md5(picture, usedforsecurity=False).digest()) == md5


def test_many_pictures_come_back_in_their_order(tmp_path: Path) -> None:
    paths = []
    for number in range(11):  # more than are in flight at once
        paths.append(tmp_path / f"{number}.png")
        Image.linear_gradient("L").rotate(number * 8).save(paths[-1])
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    contents = read_files(paths, is_exact=False)
    assert digests == [content.signals[1].value for content in contents]


def test_a_picture_that_is_cut_off_is_refused_and_the_hint_names_a_way_out(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(draw_picture(1, width=64, height=64))
    bad.write_bytes(good.read_bytes()[:-200])
    with pytest.raises(PictureUnreadable) as refused:
        read_files([good, bad], is_exact=False)
    assert refused.value.message.startswith("file 2 of 2: ")
    assert refused.value.hint is not None
    assert "--exact" in refused.value.hint


def test_a_text_gives_tlsh_and_a_file_of_no_kind_only_its_digests(tmp_path: Path) -> None:
    text, other = tmp_path / "manifesto.txt", tmp_path / "archive"
    text.write_text(" ".join(f"sentence number {number} of many" for number in range(60)))
    other.write_bytes(bytes(range(256)))
    types = [[signal.type.value for signal in each.signals] for each in
             read_files([text, other], is_exact=False)]  # fmt: skip
    assert [["tlsh", "sha256", "md5"], ["sha256", "md5"]] == types


def test_a_link_is_taken_as_people_write_it() -> None:
    signal = parse_signal_argument("url:HTTPS://Example.org:443/a/../b#c")
    assert Signal(SignalType.URL, b"https://example.org/b") == signal


def test_an_error_does_not_repeat_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "uploader-4711.jpg"
    for is_exact in (False, True):
        with pytest.raises(RequestMalformed) as refused:
            read_files([path], is_exact=is_exact)
        assert "4711" not in refused.value.message


def test_exact_takes_any_file_by_its_digests(tmp_path: Path) -> None:
    path = tmp_path / "manifesto.pdf"
    path.write_bytes(b"no picture")
    (content,) = read_files([path], is_exact=True)
    assert [SignalType.SHA256, SignalType.MD5] == [signal.type for signal in content.signals]


def test_the_empty_file_is_not_published(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    contents = read_files([path], is_exact=True)
    with pytest.raises(SignalDegenerate):
        check_files_publishable(contents)


def test_a_picture_without_detail_is_refused_and_the_hint_names_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.linear_gradient("L").save(path)
    contents = read_files([path], is_exact=False)
    with pytest.raises(SignalLowQuality) as refused:
        check_files_publishable(contents)
    assert refused.value.hint is not None
    assert "--exact" in refused.value.hint


def test_a_command_without_content_is_refused() -> None:
    with pytest.raises(RequestMalformed):
        check_any([], [])


@pytest.mark.parametrize("name", ["holiday.jpg", "HOLIDAY.PNG"])
def test_a_file_named_like_a_picture_that_is_none_is_not_taken_for_its_text(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text("these words are no picture, however long they go on\n" * 100)
    with pytest.raises(PictureUnreadable) as refused:
        read_files([path], is_exact=False)
    assert "--exact" in (refused.value.hint or "")
    assert str(path) not in str(refused.value)
    (content,) = read_files([path], is_exact=True)
    assert [SignalType.SHA256, SignalType.MD5] == [signal.type for signal in content.signals]
