"""Secrets in texts: what is taken out, and what stays as it is."""

from __future__ import annotations

import pytest

from wholecard.core.plain_text import plain
from wholecard.core.secrets import redacted, without_secrets

KEPT = [
    "quiet a=b splash",
    "vfio-pci.ids=10de:2330 intel_iommu=on iommu=pt",
    "bypass=1 passthrough=on compass=3 keymap=us monkey=1 pwm=2",
    "rd.luks.key=/keyfile:UUID=1 rd.luks.uuid=luks-1",
    "options vfio_pci # the password is nowhere",
    "root=UUID=1 ro console=ttyS0,115200n8",
    "see https://example.com:8774/path?x=user@example.com and mail a@b",
    "http://[::1]:5000/v3 a@b",
    "password= x=y",
    "a == b; c=\"d e\" f='g'",
    "iscsi_initiator=iqn.2001-04.com.example:a ip=10.0.0.1::10.0.0.254",
]


@pytest.mark.parametrize("text", KEPT)
def test_kept(text: str) -> None:
    """What names no secret stays to the letter, in lines too."""
    assert redacted(text) == text
    assert redacted(f"{text}\n\n\t{text}\n") == f"{text}\n\n\t{text}\n"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("x rd.iscsi.password=abc y", "x rd.iscsi.password=REDACTED y"),
        ('G="quiet rd.iscsi.password=abc"', 'G="quiet rd.iscsi.password=REDACTED"'),
        ("API_TOKEN='a b' c", "API_TOKEN=REDACTED c"),
        ('G="a=\\"b c\\" wpa_psk=\\"d e\\" f"', 'G="a=\\"b c\\" wpa_psk=REDACTED f"'),
        ('PASSWD="a b"', "PASSWD=REDACTED"),
        ('secret="no end', "secret=REDACTED"),
        ("PASS=a rd.znet_pass=b cifs.pass=c pw=d", "PASS=REDACTED rd.znet_pass=REDACTED "
         "cifs.pass=REDACTED pw=REDACTED"),
        ("api_key=a apikey=b private-key=c passphrase=d", "api_key=REDACTED apikey=REDACTED "
         "private-key=REDACTED passphrase=REDACTED"),
        ("systemd.set_credential=n:v dhchap_secret=x", "systemd.set_credential=REDACTED "
         "dhchap_secret=REDACTED"),
        ("netroot=iscsi:u:pw@10.0.0.1::3260:: x", "netroot=iscsi:REDACTED@10.0.0.1::3260:: x"),
        ("root=nbd:https://u:p/w@h/x y@z", "root=nbd:https://REDACTED@h/x y@z"),
        ("password=a=b=c d", "password=REDACTED d"),
    ],
)  # fmt: skip
def test_redacted(text: str, left: str) -> None:
    """A word that names a secret loses its value, however it is quoted, and nothing else."""
    assert redacted(text) == left
    assert redacted(left) == left


@pytest.mark.parametrize(
    ("text", "secrets", "left"),
    [
        ("a cat has a tail", ("a",), "*** cat has *** tail"),
        ("admin's administration by admin", ("admin",), "***'s administration by ***"),
        ("xsecretwordx", ("secretword",), "x***x"),
        ("http://u:p/@x@h/v3, not http://h/p", ("p/@x",), "http://***@h/v3, not http://h/p"),
        ("nothing", ("",), "nothing"),
    ],
)
def test_without_secrets(text: str, secrets: tuple[str, ...], left: str) -> None:
    """Known secrets are cut out wherever they are; a short one only where it is a word."""
    assert without_secrets(text, secrets) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\x1b[2Jb\tc\nd\x07é", "a�[2Jb\tc\nd�é"),
        ("\x1b]52;c;ZXZpbA==\x07", "�]52;c;ZXZpbA==�"),
        ("error: x\rok", "error: x�ok"),
        ("\x9b31m", "�31m"),
        ("abc\u202edcb", "abc�dcb"),
        ("\udcff", "�"),
        ("5\xa0GiB, 漢字, ž", "5\xa0GiB, 漢字, ž"),
    ],
)
def test_plain(text: str, left: str) -> None:
    """What could command a terminal, or turn a text around, is replaced; the rest stays."""
    assert plain(text) == left
