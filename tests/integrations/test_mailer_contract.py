"""What every mailer does, against a server over the wire."""

import pytest

from integrations.errors import OutcomeUnknown, ProviderDown, ProviderError, Rejected, Unreachable
from integrations.mail.mailer import Mail
from tests.integrations.conftest import MailBench


def mail(order_id: str, *, to: str = "jane@example.com") -> Mail:
    return Mail(
        message_id=f"<{order_id}@shop.example>",
        to=to,
        to_name="王芳",
        subject=f"Your order {order_id}",
        text="It is on its way.\n",
        html="<p>It is on its way.</p>",
        language="zh-CN",
    )


async def test_a_mail_arrives_once_as_it_was_written(mails: MailBench, order_id: str) -> None:
    await mails.mailer.send(mail(order_id))
    (found,) = await mails.arrived(f"<{order_id}@shop.example>")
    assert found["subject"] == f"Your order {order_id}"
    assert found["text"].strip() == "It is on its way."
    assert found["html"].strip() == "<p>It is on its way.</p>"


async def test_a_refused_recipient_is_told_for_good_and_others_still_get_theirs(
    mails: MailBench, order_id: str
) -> None:
    await mails.turn(refuse_recipients=["gone@example.com"])
    with pytest.raises(Rejected) as caught:
        await mails.mailer.send(mail(order_id, to="gone@example.com"))
    assert caught.value.status == 550
    assert "gone" not in str(caught.value)
    await mails.mailer.send(mail(order_id))
    assert len(await mails.arrived(f"<{order_id}@shop.example>")) == 1


@pytest.mark.parametrize(
    ("dial", "kind", "kept"),
    [
        ("temporary_next", ProviderDown, 0),
        ("drop_before_next", OutcomeUnknown, 0),
        ("lost_answer_next", OutcomeUnknown, 1),
        ("garbage_next", OutcomeUnknown, 0),
    ],
)
async def test_a_mishap_is_told_for_what_it_is_and_the_next_attempt_goes_through(
    mails: MailBench, order_id: str, dial: str, kind: type[ProviderError], kept: int
) -> None:
    await mails.turn(**{dial: 1})
    with pytest.raises(ProviderError) as caught:
        await mails.mailer.send(mail(order_id))
    assert type(caught.value) is kind
    assert len(await mails.arrived(f"<{order_id}@shop.example>")) == kept
    await mails.mailer.send(mail(order_id))
    assert len(await mails.arrived(f"<{order_id}@shop.example>")) == kept + 1


@pytest.mark.parametrize(("away", "kind"), [("refused", Unreachable), ("busy", ProviderDown)])
async def test_a_server_that_is_away_has_nothing_and_is_found_again(
    mails: MailBench, order_id: str, away: str, kind: type[ProviderError]
) -> None:
    await mails.mailer.send(mail(f"{order_id}-before"))
    await mails.turn(away=away)
    with pytest.raises(ProviderError) as caught:
        await mails.mailer.send(mail(order_id))
    assert type(caught.value) is kind
    await mails.turn(away="here")
    await mails.mailer.send(mail(order_id))
    assert len(await mails.arrived(f"<{order_id}@shop.example>")) == 1
