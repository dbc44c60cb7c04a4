from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from hashigo.provenance.crate import FORMAT

CONTEXTS = Path(__file__).parents[1] / "data" / "contexts"
ADDRESSES = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.jsonld",
    "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.jsonld",
}
#: Wants the main workflow's identifier to be an absolute address, while the profile below it requires
#: (workflow-ro-crate-1.0_4.1) that the main workflow is a file of the crate.
CONTRADICTORY = "process-run-crate-0.5_5.1"


def seed_cache(path):
    """Put the contexts into the validator's HTTP cache, which answers for the network then."""
    import requests_cache
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPResponse

    class Shelf(HTTPAdapter):
        def send(self, request, **options):
            content = io.BytesIO((CONTEXTS / ADDRESSES[request.url]).read_bytes())
            headers = {"Content-Type": "application/ld+json"}
            answer = HTTPResponse(body=content, headers=headers, status=200, preload_content=False)
            return self.build_response(request, answer)

    with requests_cache.CachedSession(str(path), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", Shelf())
        for address in ADDRESSES:
            for accept in ("application/ld+json, application/json", "application/ld+json", "*/*"):
                session.get(address, headers={"Accept": accept})


@pytest.fixture(scope="session")
def validate(tmp_path_factory):
    """Validate a crate without network; returns the checks passed and the failures."""
    try:
        from rocrate_validator import services
    except ImportError:
        message = "the crate validator is not installed: pip install 'aiida-hashigo[validate]'"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    cache = tmp_path_factory.mktemp("validator") / "http"
    seed_cache(cache)

    def run(crate, severity="REQUIRED"):
        result = services.validate(
            {
                "rocrate_uri": str(crate),
                "profile_identifier": "provenance-run-crate",
                "requirement_severity": severity,
                "cache_path": cache,
                "cache_max_age": -1,
                "offline": True,
                "skip_checks": [CONTRADICTORY],
            }
        )
        failures = [
            f"{issue.check.identifier}: {issue.message} {issue.violatingEntity}"
            for issue in result.get_issues()
        ]
        print(
            severity,
            len(result.executed_checks),
            [c.identifier for c in result.skipped_checks],
            len(failures),
        )
        return failures

    return run


@pytest.fixture(scope="module")
def crate(done, tmp_path_factory):
    return FORMAT.write(done, tmp_path_factory.mktemp("crate") / "ladder")


@pytest.mark.parametrize("severity", ["REQUIRED", "RECOMMENDED"])
def test_the_validator_has_nothing_to_say(crate, validate, severity):
    x = validate(crate, severity)
    print("\n".join(x))
    assert x == []
