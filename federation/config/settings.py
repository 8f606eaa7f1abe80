"""Every setting of a node: its unit, its default and the reason for it.

One TOML file. Unknown keys are refused, so that a typing error is an error and not a silent
default. Paths are relative to the file's own folder. ``node_config.example.toml`` is made from this
room by ``render_config`` and tested equal to the defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from federation.config.checks import (
    check_listen_or_off,
    check_loopback,
    check_member,
    check_member_or_none,
    check_webhook_url,
    check_witness_url,
    check_witness_vkey,
)
from federation.protocol.limits import BODY_BYTES_MAX
from federation.protocol.limits_content import PDQ_DISTANCE_MAX

NO_QUORUM: Final = "none"

WEBHOOKS_MAX: Final = 16
"""Each has a task, a connection and a place in the feed of its own."""

WORKERS_MAX: Final = 64
"""Cores of a large machine."""

WITNESSES_MAX: Final = 32
"""Each is asked after every publish, at the same time as the others."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeySettings(_Section):
    """Where the keys are. Each is a file of mode 0600, made by ``federation init``."""

    log_crisis: Path = Field(Path("keys/log-crisis.key"), description="signs the crisis log")
    log_live: Path = Field(Path("keys/log-live.key"), description="signs the live log")
    log_bulk: Path = Field(Path("keys/log-bulk.key"), description="signs the bulk log")
    witness: Path = Field(
        Path("keys/witness.key"),
        description='cosigns "consistent with all I have seen of this log"',
    )
    mirror: Path = Field(
        Path("keys/mirror.key"),
        description='cosigns "and I durably hold every statement": receipts',
    )
    mldsa44_folder: str = Field(
        "",
        description="folder of ML-DSA-44 keys (crisis.key … mirror.key) that sign second lines; "
        "empty: none",
    )
    identity: Path = Field(
        Path("keys/identity.key"), description="TLS identity: issues the node's short-lived leaves"
    )
    identity_certificate: Path = Field(
        Path("keys/identity.crt"), description="its certificate, which the roster pins"
    )


class PeerSettings(_Section):
    """The listener for other members, and how they are reached; identities are the roster's."""

    listen: Annotated[str, AfterValidator(check_listen_or_off)] = Field(
        "0.0.0.0:7001",
        description="address of the peer listener; empty: none, for a node that only calls others",
    )
    listen_mode: Literal["mutual-tls", "http-signatures"] = Field(
        "mutual-tls",
        description='how members prove who they are: "mutual-tls" on the connection; '
        '"http-signatures" by signed requests, behind a balancer that ends TLS, and then this '
        "member's URL in the roster begins with https+signatures://",
    )
    certificate_file: str = Field(
        "",
        description="http-signatures only: TLS certificate chain (PEM) for the balancer; empty: "
        "plain HTTP, on loopback only",
    )
    key_file: str = Field("", description="its private key (PEM, mode 0600)")
    authorities_file: str = Field(
        "",
        description="certificates of authorities (PEM) that other members' balancers are "
        "certified by, beside the system's; empty: the system's alone",
    )
    anti_entropy_seconds: float = Field(
        30.0,
        ge=0.1,
        le=3600.0,
        description="how often to compare heads with one random peer; pushing is only faster",
    )
    bulk_upload_bytes_per_second: int = Field(
        0,
        ge=0,
        le=10**12,
        description="what serving bulk statements may take of this node's line, about 70 % of it; "
        "0: no limit. Crisis and live statements are never held back",
    )
    leaf_hours: float = Field(
        24.0,
        ge=1.0,
        le=8760.0,
        description="life of a TLS leaf in hours; renewed after two thirds of it: how long a "
        "stolen leaf key is of use",
    )

    @property
    def is_behind_balancer(self) -> bool:
        """Whether requests prove themselves, instead of connections."""
        return self.listen_mode == "http-signatures"

    @model_validator(mode="after")
    def _is_served_safely(self) -> Self:
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file come together")
        if self.certificate_file and not self.is_behind_balancer:
            raise ValueError("with mutual-tls the node makes its own certificates")
        if self.listen and self.is_behind_balancer and not self.certificate_file:
            check_loopback(
                self.listen, "plain HTTP is for a balancer on loopback; name a certificate_file"
            )
        return self


class ApiSettings(_Section):
    """The local HTTP API for this company's own systems."""

    listen: Annotated[str, AfterValidator(check_loopback)] = Field(
        "127.0.0.1:8001", description="address of the local API; loopback only"
    )
    token_file: Path = Field(Path("api.token"), description="the bearer token, a file of mode 0600")
    workers: int = Field(
        1,
        ge=1,
        le=WORKERS_MAX,
        description="processes that answer matches on that address, the node among them; all share "
        "one index in memory. One per core is enough",
    )


class PublicSettings(_Section):
    """The public log, for auditors and witnesses, without credentials."""

    listen: Annotated[str, AfterValidator(check_listen_or_off)] = Field(
        "",
        description="address of the public listener; empty: none. Without a certificate loopback "
        "only, for your own proxy",
    )
    certificate_file: str = Field(
        "", description="TLS certificate chain (PEM) of the public listener; empty: plain HTTP"
    )
    key_file: str = Field("", description="its private key (PEM, mode 0600)")

    @model_validator(mode="after")
    def _is_served_safely(self) -> Self:
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file come together")
        if self.listen and not self.certificate_file:
            check_loopback(self.listen, "plain HTTP is for loopback only; name a certificate_file")
        return self


class PublishingSettings(_Section):
    """How many other members must vouch for what this one publishes, and what if too few do."""

    quorum: Annotated[str, Field(pattern=r"^(none|[1-9][0-9]{0,2} of peers)$")] = Field(
        NO_QUORUM, description='"none", or "2 of peers": so many other members must have cosigned'
    )
    quorum_seconds: float = Field(
        60.0, ge=1.0, le=86_400.0, description="how long that may take before operators are alarmed"
    )
    if_unmet: Literal["hold", "publish"] = Field(
        "hold",
        description='the public log then: "hold" stays at the last head with its quorum, "publish" '
        "goes on. Peers get everything at once in any case",
    )

    @property
    def members_min(self) -> int:
        """How many other members; 0 where ``none`` was written."""
        return 0 if self.quorum == NO_QUORUM else int(self.quorum.partition(" ")[0])


class WitnessSettings(_Section):
    """A witness from outside of the federation, asked to cosign what this member publishes."""

    name: str = Field(description="what operators call it", min_length=1, max_length=64)
    vkey: Annotated[str, AfterValidator(check_witness_vkey)] = Field(
        description="its verifier key (C2SP vkey, type 04 or 06)"
    )
    url: Annotated[str, AfterValidator(check_witness_url)] = Field(
        description="its submission prefix: https://host[/path], add-checkpoint is below it"
    )


class FeedSettings(_Section):
    """What changed for this platform, as a stream that can be resumed."""

    enabled: bool = Field(
        False,  # noqa: FBT003 - the default of a setting
        description="keep the feed and serve GET /v1/feed; on by itself where there are webhooks",
    )
    history_days: float = Field(
        7.0, ge=0.01, le=366.0, description="a consumer that was away longer takes a snapshot"
    )
    history_entries: int = Field(
        1_000_000,
        ge=1_000,
        le=100_000_000,
        description="and so does one that missed more; about 500 bytes of disk each",
    )


class WebhookSettings(_Section):
    """A receiver of the platform's own, told of every change as it is committed here."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] = Field(
        description="what operators call it"
    )
    url: Annotated[str, AfterValidator(check_webhook_url)] = Field(
        description="where events go: https, or http inside your own network"
    )
    secret_file: Path = Field(
        description="the secret that signs deliveries (whsec_… or base64), a file of mode 0600"
    )
    allow_private: bool = Field(
        False,  # noqa: FBT003 - the default of a setting
        description="whether it may be at a private address, and be spoken to without TLS",
    )
    kinds: tuple[str, ...] = Field(
        (), max_length=32, description="only these kinds of change; empty: all"
    )

    @model_validator(mode="after")
    def _is_spoken_to_safely(self) -> Self:
        if self.url.startswith("http:") and not self.allow_private:
            raise ValueError("a webhook's URL is https, unless allow_private is set")
        return self


class LiveSettings(_Section):
    """Live streams: frames are matched as they come."""

    streams_max: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="streams that are on at a time; each takes up to 200 bytes a frame of its "
        "window: 10,000 of 60 frames are at most 120 MB",
    )
    window_frames: int = Field(
        60, ge=2, le=3_600, description="a stream's last frames, of which the share is told"
    )
    frames_min: int = Field(
        2, ge=1, le=3_600, description="so many frames of a window must match to be raised"
    )
    silence_seconds: float = Field(
        60.0, ge=1.0, le=86_400.0, description="a stream without a frame for so long is over"
    )


class MatchingSettings(_Section):
    """How the local API matches."""

    distance_max: int = Field(
        PDQ_DISTANCE_MAX,
        ge=0,
        le=PDQ_DISTANCE_MAX,
        description="largest PDQ Hamming distance (of 256 bits) that counts, unless a request "
        "asks for less",
    )


class PolicySettings(_Section):
    """What this platform does about a match, and what it never acts on."""

    file: str = Field(
        "",
        description="this platform's policy, a TOML file; empty: one person's undisputed word "
        "blocks, all else goes to review",
    )
    benign_file: str = Field(
        "",
        description="signals of harmless content, one type:value a line: what comes near them is "
        "held back before it acts; empty: none",
    )


class RememberingSettings(_Section):
    """What was uploaded lately, to be found when its signal comes later; nothing by default."""

    signals_max: int = Field(
        0,
        ge=0,
        le=100_000_000,
        description="signals of uploads that are remembered, 53 bytes of disk each, of a video up "
        "to 64 frames; 0: none",
    )
    hours_max: float = Field(
        24.0, gt=0.0, le=8760.0, description="how long they are remembered, in hours"
    )


class QuotaSettings(_Section):
    """How much of one member is usual. What comes beyond is kept, counts, and is marked."""

    statements_day: int = Field(
        2_000_000,
        ge=1,
        le=1_000_000_000,
        description="statements of one member that arrive within a day: two long lists",
    )
    crisis_hour: int = Field(
        3_600,
        ge=1,
        le=1_000_000_000,
        description="crisis statements of one member that arrive within an hour: one a second",
    )
    body_bytes: int = Field(
        BODY_BYTES_MAX,
        ge=1,
        le=BODY_BYTES_MAX,
        description="bytes of one body; by default as many as the protocol allows",
    )


class NodeConfig(_Section):
    """One node's settings.

    Attributes:
        folder: the folder of the file they were read from; relative paths start there.
    """

    member: Annotated[str, AfterValidator(check_member)] = Field(
        description="this node's member name: a lower-case DNS name, for ever"
    )
    observer_of: Annotated[str, AfterValidator(check_member_or_none)] = Field(
        "",
        description="for an observer, which publishes nothing and has no keys but its TLS "
        "identity: the member whose further machine it is, or its own name; empty: this node "
        "publishes",
    )
    data_directory: Path = Field(Path("data"), description="database and roster; one node's alone")
    guard_directory: Path = Field(
        Path("guard"),
        description="what this node signed last; never in a backup, never put back by one",
    )
    root_file: Path = Field(
        Path("1.root.json"), description="the federation's root of trust, from its governors"
    )
    keys: KeySettings = Field(default_factory=KeySettings)
    peers: PeerSettings = Field(default_factory=PeerSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    matching: MatchingSettings = Field(default_factory=MatchingSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    remembering: RememberingSettings = Field(default_factory=RememberingSettings)
    public: PublicSettings = Field(default_factory=PublicSettings)
    publishing: PublishingSettings = Field(default_factory=PublishingSettings)
    live: LiveSettings = Field(default_factory=LiveSettings)
    feed: FeedSettings = Field(default_factory=FeedSettings)
    quotas: QuotaSettings = Field(default_factory=QuotaSettings)
    webhooks: tuple[WebhookSettings, ...] = Field(
        (), max_length=WEBHOOKS_MAX, description="receivers of the platform's own"
    )
    witnesses: tuple[WitnessSettings, ...] = Field(
        (), max_length=WITNESSES_MAX, description="witnesses from outside of the federation"
    )
    folder: Path = Field(Path(), exclude=True)

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        if len({each.name for each in self.webhooks}) != len(self.webhooks):
            raise ValueError("two webhooks have one name")
        return self

    @property
    def is_observer(self) -> bool:
        """Whether this node only reads."""
        return bool(self.observer_of)

    @property
    def company(self) -> str:
        """Whose policy this node follows, and whose word is this company's own."""
        return self.observer_of or self.member

    @property
    def keeps_feed(self) -> bool:
        """Whether what changes is kept: somebody asked for it, or is told of it."""
        return self.feed.enabled or bool(self.webhooks)

    def path(self, setting: Path) -> Path:
        """A setting's path, made absolute from the config file's folder."""
        return (self.folder / setting).resolve()
