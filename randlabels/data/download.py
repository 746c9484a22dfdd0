"""Downloads one checked file, resumably, never leaving a half file under the final name."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from randlabels import progress
from randlabels.data import bounded
from randlabels.data.errors import DataError

TIMEOUT = 10  # seconds without an answer


def download(url: str, path: Path, size: int, sha256: str) -> None:
    """Fetches `url` to `path`, which afterwards has `size` bytes and this sha256.

    A file that is already there is checked and used. What has arrived is kept as `<path>.part`
    when the connection breaks, and the next call goes on from there.

    Raises:
      DataError: no connection, the server refuses, or the content is not the expected one.
    """
    if path.exists():
        check_file(path, size, sha256)
        return
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    if have > size:
        part.unlink()
        have = 0
    if have < size:
        try:
            _fetch(url, part, have, size)
        except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
            reason = getattr(error, "reason", None) or error
            raise DataError(
                f"cannot download {url} ({reason}); try again, or fetch it on another machine "
                "and give it with --source=FILE."
            ) from error
    try:
        check_file(part, size, sha256)
    except DataError:
        part.unlink()
        raise
    os.replace(part, path)


def check_file(path: Path, size: int, sha256: str) -> None:
    """Raises DataError unless the file has this size in bytes and this sha256."""
    bounded.check_regular(path, bounded.MAX_BYTES)
    found = path.stat().st_size
    if found != size:
        raise DataError(
            f"{path} has {found} bytes where the official archive has {size}; "
            "it is incomplete or another file: fetch it again."
        )
    digest = hashlib.sha256()
    with (
        path.open("rb") as file,
        progress.bar(total=size, unit="B", unit_scale=True, disable=None) as bar,
    ):
        bar.set_description(f"checking {path.name}")
        while block := file.read(2**20):
            digest.update(block)
            bar.update(len(block))
    if digest.hexdigest() != sha256:
        raise DataError(
            f"{path} is damaged or not the official archive: its sha256 is "
            f"{digest.hexdigest()}, not {sha256}; fetch it again."
        )


def _fetch(url: str, part: Path, have: int, size: int) -> None:
    """Appends to `part` from byte `have` on, or starts over where the server cannot resume."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        part.parent.mkdir(parents=True, exist_ok=True)
        resumed = answer.status == http.client.PARTIAL_CONTENT
        with (
            part.open("ab" if resumed else "wb") as file,
            progress.bar(
                total=size,
                initial=have if resumed else 0,
                unit="B",
                unit_scale=True,
                desc=f"downloading {part.stem}",
                disable=None,
            ) as bar,
        ):
            while block := answer.read(2**16):
                file.write(block)
                bar.update(len(block))
    if part.stat().st_size < size:
        raise ConnectionError("the connection broke")
