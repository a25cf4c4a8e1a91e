"""URLs that are signed anew at every read, without what signs them: that says nothing about what they lead to."""

from __future__ import annotations

import re

_NAMES = (
    r"X-(?:Amz|Goog)-[A-Za-z-]+|AWSAccessKeyId|GoogleAccessId",  # Amazon S3, Google Cloud Storage
    r"Signature|Expires|Key-Pair-Id|Policy|Hash-Algorithm",  # CloudFront; both in S3's signature version 2
    r"sig|se|st|ske|skt",  # Azure's shared access signature
    r"OSSAccessKeyId|security-token|x-oss-(?:credential|date|expires|signature|signature-version|security-token)",  # Alibaba
    r"q-(?:sign-algorithm|ak|sign-time|key-time|header-list|url-param-list|signature)|x-cos-security-token",  # Tencent
    r"AccessKeyId|x-obs-security-token",  # Huawei
    r"token|access_token|__token__|hdnts|hdnea|hmac|auth_key",  # gateways and content delivery networks
)
_BESIDE_SIG = (
    r"sv|sr|sp|spr|sip|si|ss|srt|sdd|ses|sks|skv|skoid|sktid|saoid|suoid|scid"  # Azure; too short to stand alone
)
_SIGNATURE, _AZURE = (
    re.compile(rf"(?<=[?&])(?:{names})=[^&#]*&?", re.IGNORECASE) for names in ("|".join(_NAMES), _BESIDE_SIG)
)
_IS_AZURE = re.compile(r"[?&]sig=", re.IGNORECASE)
_QUERY = re.compile(r"(?<=\?)[^#]*")


def without_signature(url: str) -> str:
    """Known by the names of its parameters; nobody has a list of them all."""
    named = _AZURE.sub("", url) if _IS_AZURE.search(url) else url
    return _SIGNATURE.sub("", named)


def without_query(url: str) -> str:
    """For where a hash says what it leads to. `?` stays, as it does where all of a query was a signature."""
    return _QUERY.sub("", url, count=1)
