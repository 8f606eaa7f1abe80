"""A real nginx on loopback, with a throwaway authority: what ends TLS in front of a node."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
SECONDS_MAX = 30.0

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx") is None and not os.environ.get("CI"),  # there it fails, and says why
    reason="nginx-light of debian-packages.txt is not installed",
)


@dataclass(frozen=True)
class Authority:
    """An authority that browsers would know, for one host."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """Its own certificate: what clients are told to trust."""
        return self.folder / "authority.pem"

    def issue(self, host: str = "localhost") -> tuple[Path, Path]:
        """A certificate chain and key for a host."""
        now = datetime.now(UTC)
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "throwaway authority")])
        root_id = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
        root = (
            x509.CertificateBuilder()
            .subject_name(root_name)
            .issuer_name(root_name)
            .public_key(root_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(root_id, critical=False)
            .sign(root_key, hashes.SHA256())
        )
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
            .issuer_name(root_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id),
                critical=False,
            )
            .sign(root_key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        self.certificate.write_bytes(root.public_bytes(pem))
        chain, private = self.folder / f"{host}.pem", self.folder / f"{host}.key"
        chain.write_bytes(leaf.public_bytes(pem) + root.public_bytes(pem))
        private.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return chain, private


def _config(folder: Path, port: int, tls: tuple[Path, Path], locations: str, more: str) -> str:
    return f"""
pid {folder}/nginx.pid;
error_log {folder}/error.log;
daemon off;
master_process off;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {more}
  server {{
    listen {HOST}:{port} ssl;
    ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]};
    client_max_body_size 8m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    {locations}
  }}
}}
"""


@asynccontextmanager
async def nginx(
    folder: Path, port: int, tls: tuple[Path, Path], locations: str, more: str = ""
) -> AsyncIterator[None]:
    """Debian's nginx with that configuration, until the block ends."""
    folder.mkdir(parents=True)  # noqa: ASYNC240 - a test's own folder
    config = folder / "nginx.conf"
    config.write_text(_config(folder, port, tls, locations, more))
    program = shutil.which("nginx")
    assert program is not None
    arguments: Sequence[str] = (
        program, "-c", str(config), "-p", str(folder), "-e", str(folder / "start.log"),
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(*arguments)
    try:
        async with asyncio.timeout(SECONDS_MAX):
            while not _accepts(port):
                assert process.returncode is None, (folder / "start.log").read_text()
                await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def trusting(authority: Authority) -> ssl.SSLContext:
    """A browser's context that knows the throwaway authority."""
    return ssl.create_default_context(cafile=authority.certificate)
