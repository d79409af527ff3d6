"""How a webhook is reached, and the checks of it that all users of webhooks share."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pelamis.api.check import Errors
from pelamis.api.field import F, Int32, Struct, always
from pelamis.base import names
from pelamis.base.errors import invalid, required


class ServiceReference(Struct, frozen=True):
    namespace: Annotated[str, F(1, "Namespace of the service.", required=True)] = always(str)
    name: Annotated[str, F(2, "Name of the service.", required=True)] = always(str)
    path: Annotated[str | None, F(3, "URL path of the requests.")] = None
    port: Annotated[Int32 | None, F(4, "Port of the service.", default=443)] = None


class WebhookClientConfig(Struct, frozen=True):
    url: Annotated[str | None, F(3, "https://host:port/path of the server.")] = None
    service: Annotated[ServiceReference | None, F(1, "The service in the cluster that serves it.")] = None
    caBundle: Annotated[
        bytes, F(2, "PEM certificates that its server certificate is checked with; unset means those of the system.")
    ] = b""


def check_url(url: str, path: str, *, force_https: bool) -> Errors:
    form = "desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
        credentials = parts.username is not None or parts.password is not None
    except ValueError as error:
        return [required(path, f"url must be a valid URL: {error}; {form}")]
    errors: Errors = []
    if force_https and parts.scheme != "https":
        errors.append(invalid(path, parts.scheme, f"'https' is the only allowed URL scheme; {form}"))
    if not parts.netloc:
        errors.append(invalid(path, parts.netloc, f"host must be specified; {form}"))
    if credentials:
        errors.append(invalid(path, "", "user information is not permitted in the URL"))
    if parts.fragment:
        errors.append(invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        errors.append(invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return errors


def check_service(service: Any, path: str) -> Errors:
    """``service`` names a Service, a port and a URL path."""
    errors: Errors = []
    if not service.name:
        errors.append(required(f"{path}.name"))
    if not service.namespace:
        errors.append(required(f"{path}.namespace"))
    if service.port is not None:
        wrong = names.is_port_num(service.port)
        errors += [invalid(f"{path}.port", service.port, "port is not valid: " + m) for m in wrong]
    if not service.path or service.path == "/":
        return errors
    where, text = f"{path}.path", service.path
    if text == "//":
        return [*errors, invalid(where, text, "segment[0] may not be empty")]
    if not text.startswith("/"):
        errors.append(invalid(where, text, "must start with a '/'"))
    for i, step in enumerate(text.removeprefix("/").removesuffix("/").split("/")):
        if not step:
            errors.append(invalid(where, text, f"segment[{i}] may not be empty"))
        else:
            errors += [invalid(where, text, f"segment[{i}]: {message}") for message in names.is_dns1123_subdomain(step)]
    return errors
