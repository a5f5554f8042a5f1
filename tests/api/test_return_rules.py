"""The rules of returns: one versioned list."""

from domain.identity import Scope
from tests.api.conftest import Api

RULE = {"channels": ["webshop"], "days": 60, "fee_percent": 10, "label": "customer"}


async def test_before_anybody_makes_rules_those_that_are_brought_along_are_in_force(api: Api) -> None:
    found = (await api.http.get("/v1/return-rules")).json()
    assert (found["version"], found["made_by"]) == (0, None)
    (rule,) = found["rules"]
    assert (rule["days"], rule["label"], rule["fee_percent"], rule["pay"]) == (30, "shop", 0, False)
    assert "other" not in rule["approved"]


async def test_versions_are_kept_and_two_people_do_not_overwrite_each_other(api: Api) -> None:
    made = await api.http.put("/v1/return-rules", json={"rules": [RULE], "replaces": 0})
    assert (made.status_code, made.json()["version"]) == (200, 1)
    assert made.json()["rules"][0]["send_days"] == 14
    late = await api.http.put("/v1/return-rules", json={"rules": [], "replaces": 0})
    assert (late.status_code, late.json()["field"]) == (409, "replaces")
    await api.http.put("/v1/return-rules", json={"rules": []})
    page = (await api.http.get("/v1/return-rules/versions", params={"limit": 1})).json()
    rest = (await api.http.get("/v1/return-rules/versions", params={"cursor": page["next_cursor"]})).json()
    assert [item["version"] for item in page["items"] + rest["items"]] == [2, 1]
    assert (await api.http.get("/v1/return-rules/versions/1")).json() == rest["items"][0]
    assert (await api.http.get("/v1/return-rules/versions/9")).status_code == 404


async def test_a_rule_that_says_something_impossible_is_refused_and_so_is_a_key_without_the_scope(api: Api) -> None:
    wrong = {"rules": [{"fee_amount": 500}, {"channels": ["webshop"]}]}
    refused = await api.http.put("/v1/return-rules", json=wrong)
    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json()["errors"]] == ["rules[0].currency", "rules[1].channels"]
    strange = await api.http.put("/v1/return-rules", json={"rules": [{"fee_amount": 500, "currency": "QQQ"}]})
    assert strange.json()["code"] == "unknown_currency"
    reader = await api.key(Scope.ORDERS_READ)
    assert (await api.http.put("/v1/return-rules", json={"rules": []}, headers=reader)).status_code == 403
