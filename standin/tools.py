"""Where the tools are that causeway runs on: `pulumi`, its language host, Java, the Firestore emulator."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from causeway.errors import Unreachable
from standin.versions import PULUMI, PULUMI_GCP

LANGUAGE_HOST = "pulumi-language-python"

_JAR = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")

_SDK_HOMES = (
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/usr/local/share/google-cloud-sdk",
    "/usr/local/google-cloud-sdk",
    "/opt/google-cloud-sdk",
    "/opt/homebrew/share/google-cloud-sdk",
    "/opt/homebrew/Caskroom/google-cloud-sdk/latest/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
    "~/google-cloud-sdk",
)


def cache() -> Path:
    """The per-user directory for what is slow to get and never changes: `CAUSEWAY_CACHE`, else in the XDG cache."""
    named = os.environ.get("CAUSEWAY_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "causeway"


def pulumi_cache() -> Path:
    return cache() / f"pulumi-{PULUMI}"


def schema_cache() -> Path:
    return cache() / f"gcp-schemas-{PULUMI_GCP}"


@dataclass(frozen=True)
class PulumiTools:
    """`pulumi`, and whether it came with the official `pulumi-language-python` (else the stand-in serves)."""

    pulumi: Path
    official_host: bool

    @property
    def directories(self) -> list[Path]:
        """What to put on PATH for it; the cache holds the stand-in's launcher and the SDK's exec script."""
        return [self.pulumi.parent] if self.official_host else [self.pulumi.parent, pulumi_cache()]


def find_pulumi() -> PulumiTools | None:
    """`pulumi` of the PATH, else what `make setup` has put into the cache (installed or built), else None."""
    on_path = shutil.which("pulumi")
    candidates = [Path(on_path)] if on_path else [pulumi_cache() / "bin" / "pulumi", pulumi_cache() / "pulumi"]
    for pulumi in candidates:
        if pulumi.exists():
            return PulumiTools(pulumi, _has_official_host(pulumi))
    return None


def pulumi_tools() -> PulumiTools:
    """As `find_pulumi`; raises `Unreachable` where there is none."""
    found = find_pulumi()
    if found is None:
        raise Unreachable("pulumi is neither on PATH nor in the cache", "nothing can be updated", "Run make setup")
    return found


def _has_official_host(pulumi: Path) -> bool:
    beside = pulumi.resolve().parent / LANGUAGE_HOST
    on_path = shutil.which(LANGUAGE_HOST)
    found = beside if beside.exists() else Path(on_path) if on_path else None
    return found is not None and found.parent != pulumi_cache()


def emulator_jar() -> Path:
    """The Firestore emulator: `CAUSEWAY_EMULATOR_JAR`, else in a Google Cloud SDK. Raises `Unreachable`."""
    named = os.environ.get("CAUSEWAY_EMULATOR_JAR")
    candidates = [Path(named)] if named else [home / _JAR for home in _sdk_homes()]
    for jar in candidates:
        if jar.exists():
            return jar
    raise Unreachable(
        "the Firestore emulator is not installed",
        "",
        "Get it with: gcloud components install cloud-firestore-emulator, or apt-get install "
        "google-cloud-cli-firestore-emulator, or name the jar in CAUSEWAY_EMULATOR_JAR",
    )


def java() -> Path:
    """Raises `Unreachable`. macOS has a `java` that only asks for one, so JAVA_HOME goes first."""
    home = os.environ.get("JAVA_HOME")
    in_home = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = in_home or shutil.which("java")
    if found is None:
        raise Unreachable(
            "java is not installed",
            "",
            "The Firestore emulator needs it: apt-get install default-jre-headless, or brew install openjdk",
        )
    return Path(found)


def emulator_command(port: int, heap_mib: int = 512) -> list[str]:
    """The command that serves Firestore on 127.0.0.1:port, all of it in memory. Raises `Unreachable`."""
    main_class = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    # Left alone, its heap grows to a quarter of the machine's memory and more.
    jvm = [str(java()), f"-Xmx{heap_mib}m", "-cp", str(emulator_jar())]
    return [*jvm, main_class, "--host", "127.0.0.1", "--port", str(port)]


def _sdk_homes() -> Iterator[Path]:
    gcloud = shutil.which("gcloud")
    if gcloud:
        yield Path(gcloud).resolve().parent.parent
    for home in _SDK_HOMES:
        yield Path(home).expanduser()
