"""The errors that bytes and proofs give, and the tree that every error of this product hangs on.

The first branching answers the first question of the person who gets the error, whose fault it is.
Here stand the two branches that anybody meets who reads and judges what members said, an auditor
too; in ``local_errors`` stands what only a node meets, its own branches and some leaves of these.

A leaf has a stable ``code`` for programs and, where one exists, a ``hint`` that says what to do
next. Codes never change meaning; docs/reference/errors.md lists them all and a test holds the two
together. HTTP statuses live in ``web/problems.py`` and exit codes in ``cli/``: neither is known
here. Messages never contain a signal value, content, or an uploader's reference.
"""

from __future__ import annotations

from typing import ClassVar


class FederationError(Exception):
    """The root of the tree; never raised itself.

    Attributes:
        code: stable, kebab-case, unique among the leaves.
        message: one sentence for a person.
        hint: what to do next, or None when there is nothing to add.
    """

    code: ClassVar[str] = "federation-error"
    default_hint: ClassVar[str | None] = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint


# --- not well-formed ------------------------------------------------------------------------------


class ProtocolError(FederationError):
    """Bytes or values that are not well-formed, whoever sent them."""

    code = "protocol-error"


class EncodingMalformed(ProtocolError):
    """Not the deterministic MessagePack that docs/spec/encoding.md describes."""

    code = "encoding-malformed"


class TooLarge(ProtocolError):
    """Over a named limit of ``protocol/limits.py``."""

    code = "too-large"


class KeyMalformed(ProtocolError):
    """A public key, verifier key or key file text that cannot be parsed."""

    code = "key-malformed"


class KeyWeak(ProtocolError):
    """An Ed25519 public key of low order or in a non-canonical form."""

    code = "key-weak"
    default_hint = "make a new key; this one proves nothing"


class OriginMalformed(ProtocolError):
    """Not ``<member>/<federation id>/<lane>[/<epoch>]``."""

    code = "origin-malformed"


class MemberNameMalformed(ProtocolError):
    """Not a lower-case DNS name."""

    code = "member-name-malformed"
    default_hint = "use a lower-case DNS name such as acme.example"


class NoteMalformed(ProtocolError):
    """Not a C2SP signed note."""

    code = "note-malformed"


class CheckpointMalformed(ProtocolError):
    """A note whose text is not a C2SP tlog-checkpoint."""

    code = "checkpoint-malformed"


class ProofMalformed(ProtocolError):
    """A Merkle proof or tlog-proof text that cannot be parsed."""

    code = "proof-malformed"


class HeaderMalformed(ProtocolError):
    """A statement header that breaks its grammar."""

    code = "header-malformed"


class BodyMalformed(ProtocolError):
    """A statement body that breaks the grammar of its kind."""

    code = "body-malformed"


class RosterMalformed(ProtocolError):
    """A roster file, join request or proposal that breaks its grammar."""

    code = "roster-malformed"


class BundleMalformed(ProtocolError):
    """A provenance bundle that breaks its grammar."""

    code = "bundle-malformed"


class AttestationMalformed(ProtocolError):
    """A status attestation that breaks its grammar."""

    code = "attestation-malformed"


class RequestMalformed(ProtocolError):
    """A request on the local API, or an argument, that breaks its schema."""

    code = "request-malformed"


# --- not proven ---------------------------------------------------------------------------------


class VerificationError(FederationError):
    """Well-formed, but not proven."""

    code = "verification-error"


class SignatureInvalid(VerificationError):
    """No valid signature by the key that had to sign."""

    code = "signature-invalid"


class BeyondPin(VerificationError):
    """The head is beyond the place where the roster ended its log, or off it: evidence only."""

    code = "beyond-pin"


class LogUnknown(VerificationError):
    """A log that the roster does not hold."""

    code = "log-unknown"


class MemberUnknown(VerificationError):
    """A member that the roster does not hold."""

    code = "member-unknown"


class WrongFederation(VerificationError):
    """A statement or origin of another federation."""

    code = "wrong-federation"


class WrongMember(VerificationError):
    """A statement that names a member other than its log's."""

    code = "wrong-member"


class InclusionUnproven(VerificationError):
    """The inclusion proof does not lead from the entry to the root."""

    code = "inclusion-unproven"


class QuorumUnmet(VerificationError):
    """Fewer members vouch than were asked for."""

    code = "quorum-unmet"


class AttestationUnfit(VerificationError):
    """A status attestation of something else, or by one who did not look where it takes."""

    code = "attestation-unfit"


class NotInForce(VerificationError):
    """What was stated was taken back, has expired, or nobody can read it."""

    code = "not-in-force"


class RosterUnproven(VerificationError):
    """A roster version without enough signatures, out of order, or from another root."""

    code = "roster-unproven"


class RosterNotAtHand(VerificationError):
    """A bundle names its roster by its hash only, and the files given do not reach it."""

    code = "roster-not-at-hand"
    default_hint = "give every root file after the first with --known-root; any member has them"
