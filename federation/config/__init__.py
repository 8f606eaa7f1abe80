"""Settings of one node, and the file they stand in."""

from federation.config.checks import split_listen
from federation.config.files import CONFIG_BYTES_MAX, load_config, render_config
from federation.config.settings import (
    NO_QUORUM,
    ApiSettings,
    FeedSettings,
    KeySettings,
    LiveSettings,
    MatchingSettings,
    NodeConfig,
    PeerSettings,
    PublicSettings,
    PublishingSettings,
    QuotaSettings,
    WebhookSettings,
    WitnessSettings,
)

__all__ = [
    "CONFIG_BYTES_MAX",
    "NO_QUORUM",
    "ApiSettings",
    "FeedSettings",
    "KeySettings",
    "LiveSettings",
    "MatchingSettings",
    "NodeConfig",
    "PeerSettings",
    "PublicSettings",
    "PublishingSettings",
    "QuotaSettings",
    "WebhookSettings",
    "WitnessSettings",
    "load_config",
    "render_config",
    "split_listen",
]
