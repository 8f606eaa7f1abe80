"""What is brought to be published or matched is refused: signals, labels, files."""

from __future__ import annotations

from federation.errors import ProtocolError


class SignalMalformed(ProtocolError):
    """A signal of unknown type, or a value that breaks its type's grammar."""

    code = "signal-malformed"


class SignalLowQuality(ProtocolError):
    """A PDQ signal whose picture has too little detail to be told from others."""

    code = "signal-low-quality"
    default_hint = "publish a detailed frame or an exact hash (sha256) instead"


class SignalDegenerate(ProtocolError):
    """A signal that would match things nobody meant: all zero, or the hash of an empty file."""

    code = "signal-degenerate"


class LabelUnknown(ProtocolError):
    """A label outside the vocabulary, refused at the local door only."""

    code = "label-unknown"


class KindUnknown(ProtocolError):
    """A statement kind that this node cannot publish."""

    code = "kind-unknown"


class PictureUnreadable(ProtocolError):
    """A file that is no picture, is truncated, or is of a kind not accepted."""

    code = "picture-unreadable"


class PictureTooLarge(ProtocolError):
    """A picture whose file or pixels are over the limit, or that took too much to decode."""

    code = "picture-too-large"


class VideoUnreadable(ProtocolError):
    """A file that is no video of an accepted kind, or of which not one frame can be decoded."""

    code = "video-unreadable"


class VideoTooLarge(ProtocolError):
    """A video that is too long, has too many pixels, or took too much to decode."""

    code = "video-too-large"


class DocumentUnreadable(ProtocolError):
    """A PDF that is broken or encrypted, or a text that is not Unicode."""

    code = "document-unreadable"


class DocumentTooLarge(ProtocolError):
    """A PDF or text that is too long, or that took too much to read."""

    code = "document-too-large"
