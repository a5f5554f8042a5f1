"""The codec endpoint for the Temporal UI."""

from google.protobuf.json_format import MessageToJson, Parse
from sqlalchemy import select
from temporalio.api.common.v1 import Payload, Payloads

from db.audit import Decode
from tests.api.conftest import CODEC_TOKEN, TEMPORAL_UI, Api

PATH = f"/codec/{CODEC_TOKEN}/decode"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"Margaret Ellery"')


async def encrypted(api: Api) -> str:
    return MessageToJson(Payloads(payloads=await api.codec.encode([PLAIN, PLAIN])))


async def test_the_ui_sees_what_is_encrypted_and_that_is_written_down(api: Api) -> None:
    headers = {"Origin": TEMPORAL_UI, "X-Namespace": "default", "Content-Type": "application/json"}
    response = await api.http.post(PATH, content=await encrypted(api), headers=headers)
    assert response.status_code == 200
    assert list(Parse(response.text, Payloads()).payloads) == [PLAIN, PLAIN]
    assert response.headers["access-control-allow-origin"] == TEMPORAL_UI
    async with api.database.reading() as connection:
        (row,) = list(await connection.execute(select(Decode.__table__)))
    assert (row.namespace, row.origin, row.payloads, row.key_ids) == ("default", TEMPORAL_UI, 2, "k1")


async def test_a_wrong_token_opens_nothing(api: Api) -> None:
    response = await api.http.post("/codec/wrong/decode", content=await encrypted(api))
    assert response.status_code == 404
    assert (await api.http.options("/codec/wrong/decode")).status_code == 404


async def test_nothing_is_ever_encoded(api: Api) -> None:
    assert (await api.http.post(f"/codec/{CODEC_TOKEN}/encode", content="{}")).status_code == 404


async def test_browsers_are_told_that_only_the_ui_may_ask(api: Api) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
    ours = await api.http.options(PATH, headers={"Origin": TEMPORAL_UI, **ask})
    assert (ours.status_code, ours.headers["access-control-allow-origin"]) == (204, TEMPORAL_UI)
    assert "x-namespace" in ours.headers["access-control-allow-headers"]
    other = await api.http.options(PATH, headers={"Origin": "http://evil.example", **ask})
    assert "access-control-allow-origin" not in other.headers


async def test_garbage_and_foreign_payloads_are_refused(api: Api) -> None:
    assert (await api.http.post(PATH, content=b"\xff")).status_code == 400
    assert (await api.http.post(PATH, content=b"[1]")).status_code == 400
    sealed = (await api.codec.encode([PLAIN]))[0]
    sealed.metadata["encryption-key-id"] = b"k9"
    body = MessageToJson(Payloads(payloads=[sealed]))
    assert (await api.http.post(PATH, content=body)).status_code == 400
