"""Which login goes to which server."""

import pytest
import yaml

from cvat_bridge.errors import AddressError, LoginError
from fiftyone_legpose.cvat.login import SECRETS, Login, find_login, host_of, login_from_secrets
from tests.fiftyone_legpose.plugin_fixtures import PACKAGE

OURS = "https://cvat.clinic.example"


@pytest.fixture
def environment(monkeypatch):
    for name, value in {"URL": OURS, "USERNAME": "ana", "PASSWORD": "s3cret"}.items():
        monkeypatch.setenv(f"FIFTYONE_CVAT_{name}", value)
    return monkeypatch


def account(**given):
    login = find_login(**given)
    return login.token, login.user, login.password


def test_an_account_is_taken_from_one_place_as_a_whole(environment):
    assert account() == (None, "ana", "s3cret")
    assert account(user="bo") == (None, "bo", None)
    assert account(password="other") == (None, None, "other")
    assert account(token="t") == ("t", None, None)
    assert account(token="", user="", password="") == (None, "ana", "s3cret")
    with pytest.raises(LoginError, match="No whole login"):
        find_login(user="bo").connect()


def test_the_login_of_the_environment_goes_to_its_own_server_alone(environment):
    assert find_login(url=f"{OURS}:443/").password == "s3cret"
    for foreign in ("https://cvat.example.org", f"{OURS}:8443", f"{OURS}.example.org"):
        with pytest.raises(LoginError, match=r"is for cvat\.clinic\.example, not for") as told:
            find_login(url=foreign)
        assert "s3cret" not in str(told.value)
        assert find_login(url=foreign, token="theirs").password is None


def test_a_server_that_a_dataset_names_is_told_and_not_used(environment):
    environment.delenv("FIFTYONE_CVAT_URL")
    with pytest.raises(AddressError, match=r"went to http://theirs:9, .*set FIFTYONE_CVAT_URL"):
        find_login().connect("http://theirs:9")


def test_no_message_shows_a_login_that_an_address_holds(environment):
    environment.setenv("FIFTYONE_CVAT_URL", "https://me:s3cret@cvat.clinic.example")
    with pytest.raises(LoginError) as told:
        find_login(url="https://me:s3cret@cvat.example.org")
    assert "s3cret" not in str(told.value)
    environment.delenv("FIFTYONE_CVAT_PASSWORD")
    with pytest.raises(LoginError) as told:
        find_login().connect()
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.org", "https://A.org:443/", True),
        ("http://a.org:80", "http://a.org/tasks", True),
        ("a.org", "https://a.org", True),
        ("https://me:pw@a.org", "https://a.org", True),
        ("http://a.org:8080", "http://a.org", False),
        ("https://a.org.evil.org", "https://a.org", False),
        ("https://a.org@evil.org", "https://a.org", False),
    ],
)
def test_hosts_are_compared_and_not_texts(one, other, same):
    assert (host_of(one) == host_of(other)) is same


def test_a_login_is_taken_as_it_is_and_not_beside_parts_of_one(monkeypatch):
    monkeypatch.setenv("FIFTYONE_CVAT_URL", "https://other.example.org")
    login = Login("https://cvat.example.org", token="t", organization="clinic")
    assert find_login(login) is login
    with pytest.raises(TypeError, match="not both"):
        find_login(login, url="https://cvat.example.org")
    with pytest.raises(TypeError, match="'tokn'; of a CVAT account there are url, token"):
        find_login(tokn="t")


def test_fiftyones_secrets_hold_the_whole_login():
    listed = yaml.safe_load((PACKAGE / "fiftyone.yml").read_text())["secrets"]
    assert sorted(listed) == sorted(SECRETS)
    secrets = {name: name.rpartition("CVAT_")[2].lower() for name in SECRETS}
    expected = Login("url", "token", "username", "password", "organization", "ca_file")
    assert login_from_secrets(secrets.get) == expected
