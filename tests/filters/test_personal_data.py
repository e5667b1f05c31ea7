"""Rules on personal data say what they find and mask the same, whatever the text."""

import polars as pl
import pytest
from curate.filters.card_number import card_number
from curate.filters.email_address import email_address
from curate.filters.ip_address import ip_address
from curate.filters.phone_number import phone_number
from curate.filters.secret_key import secret_key
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import PluginError
from curate.record import records
from curate.testing import evaluate

RULES = [email_address, phone_number, ip_address, card_number, secret_key]

# What the rules look for, what looks like it, and what may stand between.
PARTS = {
    email_address: ["amir@riseup.net", "git@host.org", "@", "a@b.co", "[at]", "[dot]", "://", "icon@2x.png", "("],
    phone_number: ["+44 1273 475 433", "617-787-7070", "Tel.", "466 83 21", "office", "555", "x12", "00"],
    ip_address: ["84.113.27.190", "192.168.1.1", "2a00:1450:400a::200e", "version ", "1.2", "::", "ffff", "/24"],
    card_number: ["4539 5787 6362 1486", "4539578763621486", "4242424242424242", "https://", "12 ", "-1", "1486 "],
    secret_key: ["AKIAQ7ZK2M5XJ3VNW8RD", "api_key=", "://a:", "@h", "qT7vLx02MnRw8ZpKd31cYhB5", "eyJhbGciOi."],
}

# The last line of most keys is a short one.
PEM = f"-----BEGIN PRIVATE KEY-----\n{'mQ7x' * 16}\n{'Zk28' * 16}\nQ7ab==\n-----END PRIVATE KEY-----"


def texts(rule):
    part = st.sampled_from([*PARTS[rule], *" .,:;-/()<>\"'\n0aZ", "\n\n"])
    return st.lists(st.one_of(part, st.text(max_size=3)), max_size=9).map("".join)


def evidence(rule, text, **parameters):
    found = evaluate(rule, records([{"id": "x:1", "prompt": text}]), **parameters)
    return found["evidence"].item()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(data=st.data())
def test_the_mask_changes_a_text_exactly_when_the_rule_finds_something(rule, data):
    text = data.draw(texts(rule))
    found, masked = evidence(rule, text), rule().mask(text)
    assert (found is not None) == (masked != text)
    assert found is None or found in text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(data=st.data())
def test_nothing_is_found_in_a_masked_text(rule, data):
    masked = rule().mask(data.draw(texts(rule)))
    assert evidence(rule, masked) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(data=st.data())
def test_what_stands_around_stays(rule, data):
    text = data.draw(texts(rule))
    kept = rule(mask_with="\U0010fffd").mask(text).split("\U0010fffd")
    at = 0
    for piece in kept:
        at = text.find(piece, at)
        assert at >= 0
        at += len(piece)


def test_every_turn_of_a_conversation_is_read():
    turns = [{"role": "user", "text": "Mine is amir@riseup.net."}, {"role": "assistant", "text": "Noted."}]
    row = {"id": "x:1", "prompt": "What was it?", "response": "I forgot.", "history": turns}
    found = evaluate(email_address, records([row]))
    assert found["evidence"].item() == "amir@riseup.net"
    assert evaluate(email_address, records([row]), of="response")["rejected"].item() == "no"


@pytest.mark.parametrize(
    ("rule", "text", "masked"),
    [
        (email_address, "To amir@riseup.net, or a@b.co.", "To <email>, or <email>."),
        (email_address, "[amir@riseup.net](mailto:amir@riseup.net)", "[<email>](mailto:<email>)"),
        (phone_number, "Tel.: 466 83 21\nFax: 466 83 22.", "Tel.: <phone number>\nFax: <phone number>."),
        (phone_number, "416 60 039 office\n416 60 040 fax", "<phone number> office\n<phone number> fax"),
        (phone_number, "617-787-7070 2 times", "<phone number> 2 times"),
        (ip_address, "84.113.27.190:80 and 192.168.1.1", "<ip>:80 and 192.168.1.1"),
        (card_number, "4539 5787 6362 1486 12/27", "<card number> 12/27"),
        (secret_key, "psql postgres://app:app@app.org/app", "psql postgres://app:<secret>@app.org/app"),
        (secret_key, "{'api_key': 'qT7vLx02MnRw8ZpKd31cYhB5'}", "{'api_key': '<secret>'}"),
        (secret_key, f"See:\n{PEM}\nDone.", "See:\n<secret>\nDone."),
        (secret_key, f"KEY={PEM!r}", "KEY='<secret>'"),
    ],
)
def test_a_mask_hides_each_and_nothing_else(rule, text, masked):
    assert rule().mask(text) == masked


def test_a_mask_may_be_nothing():
    assert email_address(mask_with="").mask("To amir@riseup.net.") == "To ."


def test_a_mask_that_would_be_masked_again_is_refused():
    with pytest.raises(PluginError, match="masked again"):
        email_address(mask_with="nobody@nowhere.org")


def test_a_mask_may_be_an_address_that_is_nobody_s():
    assert email_address(mask_with="jane@example.com").mask("amir@riseup.net") == "jane@example.com"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_rule_finds_one_of_its_own_parts(rule):
    assert any(evidence(rule, part) for part in PARTS[rule])


def test_a_text_is_masked_that_holds_the_characters_masks_cut_at():
    cuts = "".join(map(chr, range(0xF0000, 0xF0003)))
    assert email_address().mask(f"{cuts}a@b.co{cuts}") == f"{cuts}<email>{cuts}"


def test_the_check_digit_of_every_issuer_is_told_from_the_nine_others():
    for number in ("453957876362148", "542523343010990", "37424545540012", "625094100652859"):
        row = pl.DataFrame({"n": [f"{number}{digit}" for digit in range(10)]})
        found = [evidence(card_number, text) for text in row["n"]]
        assert sum(each is not None for each in found) == 1
