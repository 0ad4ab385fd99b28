"""Makes `peers` importable for every test below this directory, and prepares the tests for pytest-xdist."""

import functools
import signal
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import pki  # noqa: E402

# What the session fixture and a module of integration/ need: RSA keys take long to generate.
RSA_KEYS = 5


@functools.lru_cache
def rsa_keys():
    """PEM, so that xdist can send them to its workers."""
    return [rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        for _ in range(RSA_KEYS)]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Each worker gets the same keys, which are generated once."""
    node.workerinput["rsa_keys"] = rsa_keys()


def take_signals():
    """A shell starts a command in the background with these signals ignored, and each program that pytest starts
    would inherit that. A handler becomes the default action in the program."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_configure(config):
    take_signals()
    pki.spare.extend(serialization.load_pem_private_key(key.encode(), None)
                     for key in getattr(config, "workerinput", {}).get("rsa_keys", []))
    config.addinivalue_line("markers", "calm: has a deadline that a busy machine misses; tests/run runs these "
                                       "tests when the others are over")
    config.addinivalue_line("markers", "alone: measures time; tests/run runs these tests one after the other, at "
                                       "the end")
    config.addinivalue_line("markers", "long: waits for five seconds or more; begins first, so that no processor is "
                                       "idle at the end")
    config.addinivalue_line("markers", "xdist_group(name): tests that one worker runs")


def shares(item):
    """Whether this test shares a fixture with the others of its module."""
    return any(definition.scope == "module" for definitions in item._fixtureinfo.name2fixturedefs.values()
               for definition in definitions)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """For --dist loadgroup: tests that share a fixture of their module stay together and come first,
    because a group takes long; each other test goes to a free worker. Tests with `long` come before all, because a worker
    takes three tests at a time, and the last tests would otherwise wait for a long one."""
    for item in items:
        if shares(item):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))
    items.sort(key=lambda item: (not item.get_closest_marker("long"), not shares(item)))
