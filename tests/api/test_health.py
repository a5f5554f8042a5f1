"""Health, measures, and what surrounds every answer."""

from dataclasses import replace

from db.base import Database
from tests.api.conftest import Api, order_body


async def test_the_process_lives(api: Api) -> None:
    assert (await api.http.get("/healthz")).json() == {"status": "ok"}


async def test_it_is_ready_without_temporal_and_says_so(api: Api) -> None:
    async def no() -> bool:
        return False

    api.app.state.services = replace(api.app.state.services, temporal_answers=no)
    response = await api.http.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "database": True, "temporal": False})


async def test_it_is_not_ready_without_a_database_and_still_tells_its_measures(api: Api) -> None:
    away = Database("postgresql://waybill@127.0.0.1:9/waybill")
    api.app.state.services = replace(api.app.state.services, database=away)
    response = await api.http.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert "waybill_database_up 0.0" in (await api.http.get("/metrics")).text


async def test_measures_tell_of_requests_by_route_and_of_orders(api: Api) -> None:
    accepted = await api.place()
    await api.http.post("/v1/orders", json=order_body())
    await api.http.get(accepted["links"]["self"])
    text = (await api.http.get("/metrics")).text
    assert "waybill_orders_accepted_total 1.0" in text
    assert 'waybill_orders{status="accepted"} 1.0' in text
    assert 'waybill_http_request_seconds_count{method="GET",route="/v1/orders/{order}",status="200"} 1.0' in text
    assert accepted["id"] not in text
    assert "waybill_database_up 1.0" in text


async def test_every_answer_has_an_id_and_guards(api: Api) -> None:
    response = await api.http.get("/v1/orders", headers={"X-Request-Id": "shop-request-1"})
    assert response.headers["x-request-id"] == "shop-request-1"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    made = (await api.http.get("/v1/orders", headers={"X-Request-Id": "<bad id>"})).headers["x-request-id"]
    assert len(made) == 32


async def test_what_nobody_expected_is_a_problem_that_tells_nothing(api: Api) -> None:
    async def broken() -> bool:
        raise LookupError("a secret")

    api.app.state.services = replace(api.app.state.services, temporal_answers=broken)
    response = await api.http.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert "secret" not in response.text
    assert response.headers["x-request-id"] == response.json()["request_id"]
