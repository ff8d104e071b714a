"""Literal secrets are found where people leave them, and references and plain words are left alone."""

from __future__ import annotations

import pytest

from engine.plan.literal_secrets import HIDDEN, hide, holds_a_secret, is_literal, names_a_secret


@pytest.mark.parametrize(
    "key",
    ["token", "password", "api_key", "api-key", "apiKey", "Authorization", "slack_token", "client-secret", "accessKey"],
)
def test_keys_of_secrets_are_known(key):
    assert names_a_secret(key)


@pytest.mark.parametrize(
    "key", ["service", "token_file", "tokenizer", "keep_old", "monkey", "author", "password_resets"]
)
def test_other_keys_are_not(key):
    assert not names_a_secret(key)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("${env:TOKEN}", False),
        ("${file:/run/secrets/token}", False),
        ("Bearer ${env:TOKEN}", False),
        ("${env:USER}${env:TOKEN}", False),
        ("", False),
        ("hunter2", True),
        ("${env:USER}:hunter2", True),
        ("${TOKEN}", True),
        ("Bearer abc", True),
    ],
)
def test_only_references_are_no_literals(text, literal):
    assert is_literal(text) is literal


@pytest.mark.parametrize(
    "text",
    [
        "xoxb-1234-abcdef",
        "https://hooks.slack.com/services/T000/B000/abcdefgh",
        "ghp_abcdefghijklmnop",
        "AKIAIOSFODNN7EXAMPLE",
        "Authorization: Bearer abc123def456",
        "Basic dXNlcjpwYXNzd29yZA==",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
        "-----BEGIN RSA PRIVATE KEY-----",
        "http://admin:hunter2@db:9090/metrics",
        "http://admin:hun@ter2@db:9090/metrics",
    ],
)
def test_well_known_tokens_and_passwords_in_addresses_are_hidden(text):
    assert holds_a_secret(text)
    assert HIDDEN in hide(text)
    assert not any(secret in hide(text) for secret in ("hunter2", "ter2", "abcdef", "abc123", "dXNl", "EXAMPLE"))


@pytest.mark.parametrize(
    "text",
    [
        "Rotate the bearer tokens of all services",
        "Basic authentication goes away",
        "http://127.0.0.1:7480/metrics",
        "http://admin:${env:PASSWORD}@db:9090/metrics",
        "http://admin@db:9090/metrics",
        "mail oncall@example.com: see http://wiki/x",
    ],
)
def test_plain_words_and_references_are_left_alone(text):
    assert hide(text) == text
