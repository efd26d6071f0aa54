"""Who may read the metrics: bearer token, TLS, and the warning for neither."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
import warnings

import pytest
import trustme

from hagane.errors import MetricError, MetricsServerError
from hagane.observability import serve_metrics


def get(url, token=None, context=None, scheme="Bearer"):
    request = urllib.request.Request(url, headers={} if token is None else {"Authorization": f"{scheme} {token}"})
    with urllib.request.urlopen(request, timeout=20, context=context) as response:
        return response.status


@pytest.fixture
def pem(tmp_path):
    """A certificate of a private authority: (authority, certificate file, key file)."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    return authority, certificate, key


def test_only_the_bearer_of_the_token_reads_the_metrics(collector):
    with serve_metrics(collector=collector, bearer_token="s3cret") as server:
        assert get(server.url, "s3cret") == 200
        for token, scheme in (
            (None, ""),
            ("s3cre", "Bearer"),
            ("s3cret2", "Bearer"),
            ("s3cret", "Basic"),
            ("", "Bearer"),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                get(server.url, token, scheme=scheme)
            with refused.value as error:
                assert (error.code, error.headers["WWW-Authenticate"]) == (401, "Bearer")
                assert "s3cret" not in error.read().decode()


@pytest.mark.parametrize("token", ["", "two words", "鋼", "line\n"])
def test_a_token_that_no_header_can_carry_is_refused_at_once(collector, token):
    with pytest.raises(MetricError, match="visible ASCII"):
        serve_metrics(collector=collector, bearer_token=token)


def test_an_address_beyond_this_machine_without_a_token_is_a_warning(collector):
    with pytest.warns(RuntimeWarning, match=r"anyone who reaches http://0\.0\.0\.0:\d+/metrics .* bearer_token="):
        serve_metrics(host="0.0.0.0", collector=collector).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        serve_metrics(host="0.0.0.0", collector=collector, bearer_token="x").close()
        serve_metrics(host="localhost", collector=collector).close()


def test_over_tls_only_those_who_speak_it_are_answered(collector, pem):
    authority, certificate, key = pem
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with serve_metrics(collector=collector, certificate=certificate, key=key, bearer_token="x") as server:
        assert server.url.startswith("https://")
        assert get(server.url, "x", context) == 200
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(server.url, None, context)
        refused.value.close()
        with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
            get(server.url, "x", ssl.create_default_context())
        with pytest.raises((OSError, http.client.HTTPException)):
            get(server.url.replace("https", "http"), "x")
        # Those who failed took nobody else's place.
        assert get(server.url, "x", context) == 200


def test_certificates_that_cannot_be_used_are_named(collector, pem, tmp_path):
    _, certificate, key = pem
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("")
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)
    for pair, said in (
        ((tmp_path / "missing.pem", key), "missing.pem"),
        ((nothing, key), "it holds no certificate"),
        ((certificate, nothing), "nothing.pem"),
        ((certificate, other), "certificate.pem"),
    ):
        with pytest.raises(MetricsServerError, match=said):
            serve_metrics(collector=collector, certificate=pair[0], key=pair[1])
    with pytest.raises(MetricsServerError, match="both a certificate and its key"):
        serve_metrics(collector=collector, certificate=certificate)


def test_a_warning_that_is_an_error_leaves_no_listener_behind(collector):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="anyone who reaches"):
            serve_metrics(port, "0.0.0.0", collector=collector)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
