"""Ports are settings, and one in use is told in one line with a way out."""

import socket
from dataclasses import asdict, replace

import pytest

from local.ports import Ports
from local.processes import LocalError


def test_the_environment_sets_a_port_and_the_rest_keep_their_defaults() -> None:
    ports = Ports.from_environment({"WEB_PORT": "9100", "TEMPORAL_UI_PORT": "", "UNRELATED_PORT": "nonsense"})
    assert ports == replace(Ports(), web=9100)


@pytest.mark.parametrize("text", ["0", "65536", "-1", "eighty", "80.5", "٨٠"])
def test_what_is_no_port_is_refused_with_the_name_of_its_setting(text: str) -> None:
    with pytest.raises(LocalError, match="SMTP_PORT must be a port number from 1 to 65535"):
        Ports.from_environment({"SMTP_PORT": text})


def test_two_settings_with_the_same_port_are_refused() -> None:
    with pytest.raises(LocalError, match="WEB_PORT and SANDBOX_PORT are both 8000"):
        Ports.from_environment({"SANDBOX_PORT": "8000"})


def test_ephemeral_ports_are_all_different_and_free() -> None:
    ports = Ports.ephemeral()
    assert len(set(asdict(ports).values())) == 8
    ports.check_free()


def test_a_port_in_use_is_one_line_that_names_the_setting_and_another_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(LocalError) as told:
            replace(Ports.ephemeral(), web=taken).check_free()
    line = str(told.value)
    assert line.startswith(f"Port {taken} is in use (WEB_PORT). Stop what uses it or run with WEB_PORT=")
    assert "\n" not in line
    assert not line.endswith(f"WEB_PORT={taken}.")


def test_several_ports_in_use_are_told_together() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = replace(Ports.ephemeral(), web=one.getsockname()[1], smtp=other.getsockname()[1])
        with pytest.raises(
            LocalError, match=r"^Ports \d+ \(WEB_PORT\), \d+ \(SMTP_PORT\) are in use\. Stop what uses them"
        ):
            ports.check_free()


def test_a_port_that_is_not_needed_may_be_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        replace(Ports.ephemeral(), postgres=listener.getsockname()[1]).check_free(without=frozenset({"postgres"}))
