"""What people see in a browser where there is nothing to see, or nobody answers; programs get a problem."""

from typing import Any

import httpx2
import pytest

from db import order_view
from domain.identity import Scope
from tests.api.conftest import Api
from tests.api.test_console import log_in

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HTML = "text/html; charset=utf-8"
PROBLEM = "application/problem+json"


def policy(answer: httpx2.Response) -> str:
    return answer.headers["content-security-policy"]


@pytest.fixture
def database_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(order_view, "read", refused)


@pytest.mark.parametrize("path", ["/console/orders/a b", "/console/nowhere", f"/console/orders/{'x' * 300}"])
async def test_an_address_of_the_console_at_which_there_is_nothing_is_told_on_a_page(api: Api, path: str) -> None:
    await log_in(api, *Scope, to="/console")
    answer = await api.http.get(path, headers=BROWSER)
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == HTML
    assert "There is nothing at this address." in answer.text
    assert "default-src 'none'" in policy(answer)
    told = await api.http.get(path)
    assert (told.status_code, told.headers["content-type"]) == (answer.status_code, PROBLEM)


async def test_a_browser_asking_the_api_gets_a_problem_all_the_same(api: Api) -> None:
    answer = await api.http.get("/v1/orders/unknown", headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)


@pytest.mark.usefixtures("database_away")
async def test_customers_are_told_in_their_own_terms_that_their_order_cannot_be_shown_now(api: Api) -> None:
    placed = await api.place()
    answer = await api.http.get(placed["links"]["page"], headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (503, HTML)
    assert answer.headers["retry-after"] == "60"
    assert "Please try again in a few minutes." in answer.text and "default-src 'none'" in policy(answer)
    chinese = await api.http.get(placed["links"]["page"], headers={**BROWSER, "Accept-Language": "zh-CN,zh;q=0.9"})
    assert '<html lang="zh-Hans">' in chinese.text and "请过几分钟再试" in chinese.text
    assert "database" not in answer.text.lower()


async def test_whoever_asks_for_an_order_without_its_link_is_sent_to_the_e_mail_that_has_it(api: Api) -> None:
    api.http.headers.pop("Authorization")
    answer = await api.http.get("/orders/unknown", headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (401, HTML)
    assert "newest e-mail about your order" in answer.text
