"""One chromium for all tests of the page; each test has a page, and a server, of its own."""

import pytest

import axe as checker
from browser import Browser, Page
from server import Data, Server


@pytest.fixture(scope="session")
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def open_page(browser):
    """Opens pages, and closes them at the end of the test."""
    pages = []

    def open_page(url=None, **options):
        pages.append(Page(browser, url, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def axe(browser):
    return checker.load(lambda url: Page(browser, url))


@pytest.fixture
def serve():
    """Starts servers, and stops them at the end of the test."""
    servers = []

    def serve(data=None, **options):
        servers.append(Server(data or Data(), **options))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def show(serve, open_page):
    """Opens the status page of a new server and waits for its rows: (page, server)."""
    def show(data=None, **options):
        server = serve(data)
        page = open_page(server.url, **options)
        page.wait("loaded !== null && !busy")
        return page, server

    return show
