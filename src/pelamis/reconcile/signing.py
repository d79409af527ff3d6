"""Signs certificate requests with a cluster's authority, by the rules of upstream's signer.

The subject keeps the parts that X.509 gives a name to, in their usual order; of alternative names DNS names, addresses,
mail addresses and URIs are taken over, and nothing else of what the request wants to have in its certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pelamis.net.tls import Pair

YEAR_S = 365 * 24 * 3600.0
_SHORTEST_S = 600.0
_BACKDATE_S = 300.0
"""A clock that is a little behind accepts a new certificate."""
_SHORT_S = 8 * 3600.0
"""The end of a certificate that lasts at least as long is dated back too."""
_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_EXTENDED = {
    "any": "2.5.29.37.0",
    "server auth": "1.3.6.1.5.5.7.3.1",
    "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3",
    "email protection": "1.3.6.1.5.5.7.3.4",
    "s/mime": "1.3.6.1.5.5.7.3.4",
    "ipsec end system": "1.3.6.1.5.5.7.3.5",
    "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsec user": "1.3.6.1.5.5.7.3.7",
    "timestamping": "1.3.6.1.5.5.7.3.8",
    "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
    "netscape sgc": "2.16.840.1.113730.4.1",
}
_SUBJECT = (
    NameOID.COUNTRY_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.STREET_ADDRESS,
    NameOID.POSTAL_CODE,
)
_SUBJECT_LAST = (NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER)


def _go_time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def _subject(name: x509.Name) -> x509.Name:
    parts = []
    for oid in _SUBJECT:
        found = name.get_attributes_for_oid(oid)
        if found:
            parts.append(x509.RelativeDistinguishedName(dict.fromkeys(found)))
    for oid in _SUBJECT_LAST:
        found = name.get_attributes_for_oid(oid)
        if found and found[-1].value:
            parts.append(x509.RelativeDistinguishedName([found[-1]]))
    return x509.Name(parts)


def _alternatives(request: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    kinds = (x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier)
    return [name for kind in kinds for name in names if isinstance(name, kind)]


def _key_usage(bits: set[str]) -> x509.KeyUsage:
    agreement = "key_agreement" in bits
    return x509.KeyUsage(
        digital_signature="digital_signature" in bits,
        content_commitment="content_commitment" in bits,
        key_encipherment="key_encipherment" in bits,
        data_encipherment="data_encipherment" in bits,
        key_agreement=agreement,
        key_cert_sign="key_cert_sign" in bits,
        crl_sign="crl_sign" in bits,
        encipher_only=agreement and "encipher_only" in bits,
        decipher_only=agreement and "decipher_only" in bits,
    )


class Signer:
    """Called with (request, usages, wanted seconds or None, now), gives the certificate as PEM; raises ValueError.

    authority: read for each certificate, so it may change. entropy: n to n random bytes. longest_s: also what is given
    when nothing is asked for. deterministic: the same input gives the same signature (ECDSA alone).
    """

    def __init__(
        self,
        authority: Callable[[], Pair],
        entropy: Callable[[int], bytes],
        *,
        longest_s: float = YEAR_S,
        deterministic: bool = False,
    ) -> None:
        self._authority = authority
        self._entropy = entropy
        self._longest_s = longest_s
        self._deterministic = deterministic

    def lasts(self, wanted: int | None) -> float:
        return self._longest_s if wanted is None else min(max(float(wanted), _SHORTEST_S), self._longest_s)

    def __call__(
        self, request: x509.CertificateSigningRequest, usages: Sequence[str], wanted: int | None, now: float
    ) -> bytes:
        pair = self._authority()
        ca = x509.load_pem_x509_certificate(pair.cert)
        key = serialization.load_pem_private_key(pair.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        if not request.is_signature_valid:
            raise ValueError("unable to verify certificate request signature: x509: signature does not match")
        unknown = [u for u in usages if u not in _KEY_USAGES and u not in _EXTENDED]
        if unknown:
            raise ValueError(f"unrecognized usage values: [{' '.join(map(_quoted, unknown))}]")
        builder = self._dated(x509.CertificateBuilder(), self.lasts(wanted), ca.not_valid_after_utc, now)
        subject = _subject(request.subject)
        builder = (
            builder.subject_name(subject)
            .issuer_name(ca.subject)
            .public_key(request.public_key())
            .serial_number((int.from_bytes(self._entropy(16), "big") >> 1) or 1)
        )
        bits = {_KEY_USAGES[u] for u in usages if u in _KEY_USAGES}
        if bits:
            builder = builder.add_extension(_key_usage(bits), critical=True)
        extended = dict.fromkeys(oid for usage, oid in _EXTENDED.items() if usage in usages)
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(map(x509.ObjectIdentifier, extended)), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        try:
            of = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            known = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(of)
            builder = builder.add_extension(known, critical=False)
        except x509.ExtensionNotFound:
            pass
        names = _alternatives(request)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not list(subject))
        elliptic = isinstance(key, ec.EllipticCurvePrivateKey)
        same = True if self._deterministic and elliptic else None
        made = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=same)
        return made.public_bytes(serialization.Encoding.PEM)

    @staticmethod
    def _dated(
        builder: x509.CertificateBuilder, lasts: float, authority_ends: datetime, now: float
    ) -> x509.CertificateBuilder:
        start = datetime.fromtimestamp(int(now - _BACKDATE_S), UTC)
        end = datetime.fromtimestamp(int(now + (lasts if lasts < _SHORT_S else lasts - _BACKDATE_S)), UTC)
        if start >= authority_ends:
            raise ValueError(f"the signer has expired: NotAfter={_go_time(authority_ends)}")
        if now >= authority_ends.timestamp():
            why = "refusing to sign a certificate that expired in the past"
            raise ValueError(f"{why}: NotAfter={_go_time(authority_ends)}")
        return builder.not_valid_before(start).not_valid_after(min(end, authority_ends))


def _quoted(text: str) -> str:
    return f'"{text}"'
