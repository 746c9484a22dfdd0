import hashlib
import http.server
import threading

import numpy as np
import pytest

from randlabels.data import download as module
from randlabels.data.download import download
from randlabels.data.errors import DataError

CONTENT = np.random.default_rng(0).bytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    content, stop_after, resumes = CONTENT, None, True

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked[len("bytes=") : -1]) if asked and self.server.resumes else 0
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.stop_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.stop_after, server.resumes, server.ranges = CONTENT, None, True, []
        server.url = f"http://127.0.0.1:{server.server_port}/file.tar.gz"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_fetches_once(server, tmp_path):
    path = tmp_path / "downloads" / "file.tar.gz"
    download(server.url, path, len(CONTENT), SHA256)
    assert path.read_bytes() == CONTENT
    download(server.url, path, len(CONTENT), SHA256)
    assert server.ranges == [None]
    assert [p.name for p in path.parent.iterdir()] == ["file.tar.gz"]


@pytest.mark.parametrize("resumes", [True, False])
def test_broken_connection_is_continued(server, tmp_path, resumes):
    path = tmp_path / "file.tar.gz"
    server.stop_after, server.resumes = 70_000, resumes
    with pytest.raises(DataError, match=r"cannot download .* --source=FILE"):
        download(server.url, path, len(CONTENT), SHA256)
    assert not path.exists()
    server.stop_after = None
    download(server.url, path, len(CONTENT), SHA256)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=70000-"]


def test_wrong_content_is_refused_and_removed(server, tmp_path):
    path = tmp_path / "file.tar.gz"
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(DataError, match="damaged or not the official archive"):
        download(server.url, path, len(CONTENT), SHA256)
    assert list(tmp_path.iterdir()) == []
    server.content = CONTENT + b"more"
    with pytest.raises(DataError, match="has 200004 bytes where the official archive has 200000"):
        download(server.url, path, len(CONTENT), SHA256)
    assert list(tmp_path.iterdir()) == []


def test_damaged_earlier_download_is_refused(server, tmp_path):
    path = tmp_path / "file.tar.gz"
    path.write_bytes(b"x" * len(CONTENT))
    with pytest.raises(DataError, match=r"file\.tar\.gz is damaged"):
        download(server.url, path, len(CONTENT), SHA256)


def test_no_connection_is_one_sentence(tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as unused:
        port = unused.server_port
    with pytest.raises(DataError, match=r"cannot download http://127\.0\.0\.1.* refused"):
        download(f"http://127.0.0.1:{port}/f", tmp_path / "d" / "f", len(CONTENT), SHA256)
    assert list(tmp_path.iterdir()) == []


def test_silent_server_is_given_up(tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/f"
        with pytest.raises(DataError, match=r"cannot download .*timed out"):
            download(url, tmp_path / "f", len(CONTENT), SHA256)
